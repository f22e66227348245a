# The control plane of the native cluster: etcd, API server, controller manager, scheduler, and a kube-proxy for those outside
# the nodes.
# shellcheck shell=bash disable=SC2154 # settings.sh

write_kubeadm_config() {
  cat >"$kubeadm_config" <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: { advertiseAddress: $control_plane_address, bindPort: 6443 }
nodeRegistration: { name: control-plane, criSocket: "unix:///run/containerd/containerd.sock" }
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v$kubernetes_version
clusterName: $cluster_name
certificatesDir: $pki
controlPlaneEndpoint: $control_plane_address:6443
encryptionAlgorithm: ECDSA-P256
networking: { serviceSubnet: $service_range, podSubnet: $pod_network.0.0/16, dnsDomain: cluster.local }
END
}

make_certificates() {
  [ ! -e "$KUBECONFIG" ] || return 0
  rm -rf "$pki" "$kubeconfigs"
  write_kubeadm_config
  kubeadm init phase certs all --config "$kubeadm_config"
  kubeadm init phase kubeconfig all --config "$kubeadm_config" --kubeconfig-dir "$kubeconfigs"
  kubeadm kubeconfig user --config "$kubeadm_config" --client-name system:kube-proxy >"$kubeconfigs/kube-proxy.conf"
  kubeadm kubeconfig user --config "$kubeadm_config" --client-name system:kube-router >"$kubeconfigs/kube-router.conf"
  for n in "${node_numbers[@]}"; do
    kubeadm init phase kubeconfig kubelet --config <(sed "s/name: control-plane/name: n$n/" "$kubeadm_config") \
      --kubeconfig-dir "$kubeconfigs/n$n"
  done
  cp "$kubeconfigs/super-admin.conf" "$KUBECONFIG"
} >>"$logs/kubeadm.log" 2>&1

# start NAME COMMAND…: a process of the control plane, unless it runs.
start() {
  local name=$1 pid
  shift
  pid=$(cat "$cluster_dir/pids/$name" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "${1:0:15}" ] && return 0
  inside "$control_plane" setsid "$@" >>"$logs/$name.log" 2>&1 </dev/null &
  echo $! >"$cluster_dir/pids/$name"
}

start_control_plane() {
  start_storage
  start_api_server
  start_controllers
  start kube-proxy kube-proxy --kubeconfig="$kubeconfigs/kube-proxy.conf" --hostname-override=control-plane \
    --proxy-mode=nftables --cluster-cidr="$pod_network.0.0/16" --conntrack-max-per-core=0 \
    --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
}

start_storage() {
  start etcd etcd --name control-plane --data-dir "$cluster_dir/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster control-plane=http://127.0.0.1:2380
}

start_api_server() {
  start kube-apiserver kube-apiserver --advertise-address="$control_plane_address" --secure-port=6443 \
    --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range="$service_range" --allow-privileged=true \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --kubelet-client-certificate="$pki/apiserver-kubelet-client.crt" \
    --kubelet-client-key="$pki/apiserver-kubelet-client.key" --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
    --requestheader-client-ca-file="$pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User \
    --proxy-client-cert-file="$pki/front-proxy-client.crt" --proxy-client-key-file="$pki/front-proxy-client.key" \
    --default-not-ready-toleration-seconds="$eviction_seconds" \
    --default-unreachable-toleration-seconds="$eviction_seconds"
  wait_for 'the API server' inside "$outer" kubectl get --raw /readyz
  # As kubeadm does: what administrators may, and the API server at the kubelets. And what the enforcer of policies reads.
  inside "$outer" kubectl apply -f - >/dev/null <<'END'
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: "kubeadm:apiserver-kubelet-client" }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:kubelet-api-admin" }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: User, name: kube-apiserver-kubelet-client }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: "kubeadm:cluster-admins" }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: Group, name: "kubeadm:cluster-admins" }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: "system:kube-router" }
rules:
  - { apiGroups: [""], resources: [namespaces, pods, services, nodes, endpoints], verbs: [get, list, watch] }
  - { apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [get, list, watch] }
  - { apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: "system:kube-router" }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:kube-router" }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:kube-router" }]
END
}

start_controllers() {
  local config=$kubeconfigs/controller-manager.conf
  start kube-controller-manager kube-controller-manager --kubeconfig="$config" --authentication-kubeconfig="$config" \
    --authorization-kubeconfig="$config" --leader-elect=false --use-service-account-credentials=true \
    --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" --cluster-name="$cluster_name" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --node-monitor-period=2s --node-monitor-grace-period="$node_grace"
  config=$kubeconfigs/scheduler.conf
  start kube-scheduler kube-scheduler --kubeconfig="$config" --authentication-kubeconfig="$config" \
    --authorization-kubeconfig="$config" --leader-elect=false
}
