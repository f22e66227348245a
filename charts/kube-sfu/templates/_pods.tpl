{{/* The container of a service. Keys: root, component, values, config (file), ports, env, args. */}}
{{- define "kube-sfu.service" -}}
name: {{ .component }}
image: {{ include "kube-sfu.image" (list .root .values.image) }}
imagePullPolicy: {{ include "kube-sfu.pullPolicy" (list .root .values.image) }}
args: [--config, /etc/kube-sfu/{{ .component }}.yaml]
env:
  - name: POD_IP
    valueFrom:
      fieldRef:
        fieldPath: status.podIP
  {{- range .secrets }}
  {{- include "kube-sfu.secretEnv" (list $.root .) | nindent 2 }}
  {{- end }}
  {{- with .values.nodeOptions }}
  - name: NODE_OPTIONS
    value: {{ . | quote }}
  {{- end }}
  {{- with .values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  {{- toYaml .ports | nindent 2 }}
startupProbe:
  httpGet: { path: /healthz, port: {{ .probePort }} }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: {{ .probePort }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: {{ .probePort }} }
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: 3
resources:
  {{- toYaml .values.resources | nindent 2 }}
securityContext:
  {{- include "kube-sfu.containerSecurity" . | nindent 2 }}
volumeMounts:
  - { name: config, mountPath: /etc/kube-sfu, readOnly: true }
  - { name: tmp, mountPath: /tmp }
{{- end -}}

{{/* What the pods of both services have in common. Keys: root, component, values, token, container. */}}
{{- define "kube-sfu.servicePod" -}}
metadata:
  labels:
    {{- include "kube-sfu.podLabels" (list .root .component .values) | nindent 4 }}
  annotations:
    checksum/config: {{ include (printf "kube-sfu.%sConfig" .component) .root | sha256sum | trunc 16 | quote }}
    checksum/secrets: {{ include "kube-sfu.secretHash" .root | quote }}
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "kube-sfu.fullname" .root }}-{{ .component }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
  securityContext:
    {{- include "kube-sfu.podSecurity" . | nindent 4 }}
  {{- include "kube-sfu.pullSecrets" .root | nindent 2 }}
  {{- include "kube-sfu.scheduling" .values | nindent 2 }}
  {{- include "kube-sfu.spread" (list .root .component .values) | nindent 2 }}
  containers:
    - {{- include "kube-sfu.service" . | nindent 6 }}
  volumes:
    - name: config
      configMap:
        name: {{ include "kube-sfu.fullname" .root }}-{{ .component }}
    - name: tmp
      emptyDir: {}
{{- end -}}

{{/*
The pod of a Job that runs a command of the operator. Keys: root, component (its name and labels), command (the operator's), values, config
(volume source), env, args (optional: more arguments), account (optional: the service account whose token it needs).
*/}}
{{- define "kube-sfu.jobSpec" -}}
backoffLimit: {{ .backoffLimit }}
activeDeadlineSeconds: {{ .values.timeoutSeconds }}
ttlSecondsAfterFinished: 600
template:
  metadata:
    labels:
      {{- include "kube-sfu.podLabels" (list .root .component .values) | nindent 6 }}
    {{- with .values.podAnnotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    restartPolicy: Never
    {{- with .account }}
    serviceAccountName: {{ . }}
    {{- end }}
    automountServiceAccountToken: {{ not (empty .account) }}
    enableServiceLinks: false
    securityContext:
      {{- include "kube-sfu.podSecurity" . | nindent 6 }}
    {{- include "kube-sfu.pullSecrets" .root | nindent 4 }}
    {{- include "kube-sfu.scheduling" .values | nindent 4 }}
    containers:
      - name: {{ .component }}
        image: {{ include "kube-sfu.image" (list .root .root.Values.operator.image) }}
        imagePullPolicy: {{ include "kube-sfu.pullPolicy" (list .root .root.Values.operator.image) }}
        args:
          {{- concat (list .command "--config" "/etc/kube-sfu/operator.yaml") (.args | default list) | toYaml | nindent 10 }}
        env:
          - name: POD_IP
            valueFrom:
              fieldRef:
                fieldPath: status.podIP
          {{- .env | nindent 10 }}
        resources:
          {{- toYaml .values.resources | nindent 10 }}
        securityContext:
          {{- include "kube-sfu.containerSecurity" . | nindent 10 }}
        volumeMounts:
          - { name: config, mountPath: /etc/kube-sfu, readOnly: true }
          - { name: tmp, mountPath: /tmp }
    volumes:
      - name: config
        {{- toYaml .config | nindent 8 }}
      - name: tmp
        emptyDir: {}
{{- end -}}

{{/* SERVICE_SECRET and DATABASE_URL from a Secret. Usage: include "kube-sfu.jobEnv" "name" */}}
{{- define "kube-sfu.jobEnv" -}}
- name: SERVICE_SECRET
  valueFrom: { secretKeyRef: { name: {{ . }}, key: SERVICE_SECRET } }
- name: DATABASE_URL
  valueFrom: { secretKeyRef: { name: {{ . }}, key: DATABASE_URL } }
{{- end -}}
