{{/* What its targets are told apart by from those of other releases; the label kube_sfu_release. */}}
{{- define "kube-sfu.monitoring.release" -}}
{{- printf "%s/%s" .Release.Namespace (include "kube-sfu.fullname" .) -}}
{{- end -}}

{{/* Labels of the targets, the same for each kind. Usage: include "kube-sfu.monitoring.relabelings" (list $ "operator") */}}
{{- define "kube-sfu.monitoring.relabelings" -}}
- targetLabel: job
  replacement: kube-sfu-{{ index . 1 }}
- targetLabel: kube_sfu_release
  replacement: {{ include "kube-sfu.monitoring.release" (index . 0) }}
{{- end -}}

{{/* Where and how often, of each PodMonitor. */}}
{{- define "kube-sfu.monitoring.endpoint" -}}
path: /metrics
interval: {{ .Values.monitoring.scrape.interval }}
scrapeTimeout: {{ .Values.monitoring.scrape.scrapeTimeout }}
{{- end -}}
