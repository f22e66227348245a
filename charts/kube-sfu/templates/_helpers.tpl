{{/* Names, labels and other parts that several objects have in common. */}}

{{- define "kube-sfu.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for every suffix that names of objects get. */}}
{{- define "kube-sfu.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "kube-sfu.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Names of objects that belong to no namespace: releases of one name in two namespaces must not meet. */}}
{{- define "kube-sfu.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "kube-sfu.fullname" .) -}}
{{- end -}}

{{- define "kube-sfu.mediaNamespace" -}}
{{- .Values.media.namespace | default .Release.Namespace -}}
{{- end -}}

{{/* Usage: include "kube-sfu.selectorLabels" (list $ "operator") */}}
{{- define "kube-sfu.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "kube-sfu.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Usage: include "kube-sfu.labels" (list $ "operator"); without a component: (list $). */}}
{{- define "kube-sfu.labels" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.commonLabels }}{{ toYaml . }}
{{ end -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "kube-sfu.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- if gt (len .) 1 }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: kube-sfu
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end -}}

{{/* The pods that the operator makes; see operator/workers/build-pod.ts. */}}
{{- define "kube-sfu.mediaSelector" -}}
app.kubernetes.io/part-of: kube-sfu
app.kubernetes.io/managed-by: kube-sfu-operator
{{- end -}}

{{/* Usage: include "kube-sfu.image" (list $ .Values.operator.image) */}}
{{- define "kube-sfu.image" -}}
{{- $root := index . 0 -}}{{- $image := index . 1 -}}
{{- with $root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* Usage: include "kube-sfu.pullPolicy" (list $ .Values.operator.image) */}}
{{- define "kube-sfu.pullPolicy" -}}
{{- (index . 1).pullPolicy | default (index . 0).Values.image.pullPolicy -}}
{{- end -}}

{{/* Annotations with which a hook Job and what it needs come and go. Usage: include "kube-sfu.hook" (dict "on" "pre-upgrade" "weight" 0) */}}
{{- define "kube-sfu.hook" -}}
helm.sh/hook: {{ .on }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded{{ if .failed }},hook-failed{{ end }}
{{- end -}}

{{- define "kube-sfu.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* OnRootMismatch: else the group would get rights to the volume at each start, which Postgres does not stand. */}}
{{- define "kube-sfu.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Where a pod runs. Usage: include "kube-sfu.scheduling" .Values.operator */}}
{{- define "kube-sfu.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Usage: include "kube-sfu.spread" (list $ "operator" .Values.operator) */}}
{{- define "kube-sfu.spread" -}}
{{- $component := index . 2 -}}
topologySpreadConstraints:
{{- if $component.topologySpreadConstraints }}
  {{- toYaml $component.topologySpreadConstraints | nindent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "kube-sfu.selectorLabels" . | nindent 8 }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of pods. Usage: include "kube-sfu.podMetadata" (list $ "operator" .Values.operator) */}}
{{- define "kube-sfu.podLabels" -}}
{{- include "kube-sfu.labels" (list (index . 0) (index . 1)) }}
{{- with (index . 2).podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "kube-sfu.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
