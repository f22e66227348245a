{{/* Usage: include "kube-sfu.pdb" (list $ "operator" .Values.operator.pdb) */}}
{{- define "kube-sfu.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "kube-sfu.fullname" (index . 0) }}-{{ index . 1 }}
  namespace: {{ (index . 0).Release.Namespace }}
  labels:
    {{- include "kube-sfu.labels" (list (index . 0) (index . 1)) | nindent 4 }}
spec:
  maxUnavailable: {{ (index . 2).maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "kube-sfu.selectorLabels" . | nindent 6 }}
{{- end -}}
