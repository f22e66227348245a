{{/* Rules of NetworkPolicies: each a list of egress rules. */}}

{{- define "kube-sfu.egressDns" -}}
- ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
  {{- with .Values.networkPolicy.dns }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "kube-sfu.egressApi" -}}
{{- with .Values.networkPolicy.kubernetesApi }}
- ports:
    {{- range .ports }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
  {{- with .cidrs }}
  to:
    {{- range . }}
    - ipBlock: { cidr: {{ . | quote }} }
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "kube-sfu.egressWebhooks" -}}
{{- if .Values.signaling.webhooks }}
{{- with .Values.networkPolicy.webhooks }}
- ports:
    {{- range .ports }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "kube-sfu.egressPostgres" -}}
{{- if eq .Values.postgres.mode "url" }}
{{- with .Values.networkPolicy.postgres }}
- ports:
    - { protocol: TCP, port: {{ .port }} }
  {{- with .cidrs }}
  to:
    {{- range . }}
    - ipBlock: { cidr: {{ . | quote }} }
    {{- end }}
  {{- end }}
{{- end }}
{{- else }}
- ports:
    - { protocol: TCP, port: 5432 }
  to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Release.Namespace }}
      podSelector:
        matchLabels:
          {{- if eq .Values.postgres.mode "trial" }}
          {{- include "kube-sfu.selectorLabels" (list . "trial-postgres") | nindent 10 }}
          {{- else }}
          cnpg.io/cluster: {{ include "kube-sfu.fullname" . }}-postgres
          {{- end }}
{{- end }}
{{- end -}}

{{/* Media nodes' API; with HostNetwork it has a port of the pool's range, on the machine. */}}
{{- define "kube-sfu.egressMedia" -}}
- ports:
    - { protocol: TCP, port: {{ include "kube-sfu.mediaApiPort" . }} }
  to:
    - {{- include "kube-sfu.peerMedia" . | nindent 6 }}
- ports:
    - protocol: TCP
      port: {{ .Values.networkPolicy.mediaPorts.start }}
      endPort: {{ .Values.networkPolicy.mediaPorts.end }}
{{- end -}}

{{- define "kube-sfu.mediaApiPort" -}}
{{- dig "pods" "apiPort" 7000 .Values.operator.config -}}
{{- end -}}

{{- define "kube-sfu.peerMedia" -}}
namespaceSelector:
  matchLabels:
    kubernetes.io/metadata.name: {{ include "kube-sfu.mediaNamespace" . }}
podSelector:
  matchLabels:
    {{- include "kube-sfu.mediaSelector" . | nindent 4 }}
{{- end -}}

{{/* Pods of a component of the release. Usage: include "kube-sfu.peer" (list $ "operator") */}}
{{- define "kube-sfu.peer" -}}
namespaceSelector:
  matchLabels:
    kubernetes.io/metadata.name: {{ (index . 0).Release.Namespace }}
podSelector:
  matchLabels:
    {{- include "kube-sfu.selectorLabels" . | nindent 4 }}
{{- end -}}

{{/* Head of a policy in the release's namespace. Usage: include "kube-sfu.policy" (list $ "operator") */}}
{{- define "kube-sfu.policy" -}}
{{- $root := index . 0 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "kube-sfu.fullname" $root }}-{{ index . 1 }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "kube-sfu.labels" . | nindent 4 }}
spec:
  policyTypes: [Ingress, Egress]
  podSelector:
    matchLabels:
      {{- include "kube-sfu.selectorLabels" . | nindent 6 }}
{{- end -}}
