{{/*
The secrets of the release: those that are there already, else new ones. Once for each rendering, so that all objects have the same.
The result is kept among the values, which all templates share: a dict with SERVICE_SECRET, ROOM_SECRET, POSTGRES_PASSWORD, DATABASE_URL
and the keys of webhooks.
*/}}
{{- define "kube-sfu.secretData" -}}
{{- if not (hasKey .Values "secretData") -}}
{{- $name := include "kube-sfu.fullname" . -}}
{{- $old := (lookup "v1" "Secret" .Release.Namespace $name).data | default dict -}}
{{- if and (not $old) (not (lookup "v1" "Namespace" "" "default")) -}}
{{- fail "secrets.existingSecret: must name a Secret where Helm sees no cluster (helm template, GitOps): what it made here would be another one each time" -}}
{{- end -}}
{{- $data := dict -}}
{{- $keys := list "SERVICE_SECRET" "ROOM_SECRET" -}}
{{- if ne .Values.postgres.mode "url" -}}{{- $keys = append $keys "POSTGRES_PASSWORD" -}}{{- end -}}
{{- range $key := $keys -}}
{{- $_ := set $data $key (get $old $key | default "" | b64dec | default (randAlphaNum 48)) -}}
{{- end -}}
{{- range include "kube-sfu.webhookKeys" . | fromYamlArray -}}
{{- $_ := set $data . (get $old . | default "" | b64dec | default (printf "whsec_%s" (randAlphaNum 48 | b64enc))) -}}
{{- end -}}
{{- $_ := set $data "DATABASE_URL" (include "kube-sfu.databaseUrl" (list . ($data.POSTGRES_PASSWORD | default ""))) -}}
{{- $_ := set .Values "secretData" $data -}}
{{- end -}}
{{- toYaml .Values.secretData -}}
{{- end -}}

{{- define "kube-sfu.databaseUrl" -}}
{{- $root := index . 0 -}}{{- $password := index . 1 -}}
{{- $postgres := $root.Values.postgres -}}
{{- if eq $postgres.mode "url" -}}
{{- required "postgres.url: must be set with postgres.mode \"url\", or DATABASE_URL in the Secret that secrets.existingSecret names" $postgres.url -}}
{{- else if eq $postgres.mode "trial" -}}
postgres://kube_sfu:{{ $password }}@{{ include "kube-sfu.fullname" $root }}-trial-postgres.{{ $root.Release.Namespace }}.svc:5432/kube_sfu
{{- else -}}
postgres://kube_sfu:{{ $password }}@{{ include "kube-sfu.fullname" $root }}-postgres-rw.{{ $root.Release.Namespace }}.svc:5432/kube_sfu
{{- with $postgres.cluster.urlParameters }}?{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Keys of the Secret that sign for an endpoint of `signaling.webhooks`: a list. */}}
{{- define "kube-sfu.webhookKeysOf" -}}
{{- .secretKeys | default (list "WEBHOOK_SECRET") | toYaml -}}
{{- end -}}

{{/* Those of all endpoints, each once. */}}
{{- define "kube-sfu.webhookKeys" -}}
{{- $keys := list -}}
{{- range .Values.signaling.webhooks -}}
{{- $keys = concat $keys (include "kube-sfu.webhookKeysOf" . | fromYamlArray) -}}
{{- end -}}
{{- $keys | uniq | sortAlpha | toYaml -}}
{{- end -}}

{{/* Keys of the Secret that the signaling service's configuration names: a list. */}}
{{- define "kube-sfu.signalingKeys" -}}
{{- concat (list "SERVICE_SECRET" "DATABASE_URL" "ROOM_SECRET") (include "kube-sfu.webhookKeys" . | fromYamlArray) | toYaml -}}
{{- end -}}

{{/* The Secret in the release's namespace. */}}
{{- define "kube-sfu.secretName" -}}
{{- .Values.secrets.existingSecret | default (include "kube-sfu.fullname" .) -}}
{{- end -}}

{{/* The Secret in the media namespace. */}}
{{- define "kube-sfu.mediaSecretName" -}}
{{- if .Values.secrets.existingSecret -}}
{{- required "secrets.existingMediaSecret: must be set with secrets.existingSecret, and name a Secret in the media namespace" .Values.secrets.existingMediaSecret -}}
{{- else -}}
{{- include "kube-sfu.fullname" . }}-media-node
{{- end -}}
{{- end -}}

{{/* Changes with the secrets, so that pods roll; empty with Secrets that are not the chart's. Usage: include "kube-sfu.secretHash" $ */}}
{{- define "kube-sfu.secretHash" -}}
{{- if not .Values.secrets.existingSecret -}}
{{- include "kube-sfu.secretData" . | sha256sum | trunc 16 -}}
{{- end -}}
{{- end -}}

{{/* An environment variable of the Secret in the release's namespace. Usage: include "kube-sfu.secretEnv" (list $ "ROOM_SECRET") */}}
{{- define "kube-sfu.secretEnv" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "kube-sfu.secretName" (index . 0) }}
      key: {{ index . 1 }}
{{- end -}}
