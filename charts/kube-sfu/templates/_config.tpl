{{/* The services' configurations: what the chart knows, and the user's keys laid over it. */}}

{{/* Usage: include "kube-sfu.merge" (list .Values.operator.config $ours) */}}
{{- define "kube-sfu.merge" -}}
{{- toYaml (mergeOverwrite (deepCopy (index . 1)) (deepCopy (index . 0))) -}}
{{- end -}}

{{- define "kube-sfu.operatorConfig" -}}
{{- $name := include "kube-sfu.fullname" . -}}
{{- $pods := dict
  "image" (include "kube-sfu.image" (list . .Values.media.image))
  "configMapName" (printf "%s-media-node" $name)
  "secretName" (include "kube-sfu.mediaSecretName" .)
  "configHash" (include "kube-sfu.mediaHash" .)
  "serviceAccountName" (printf "%s-media-node" $name) -}}
{{- $ours := dict
  "serviceAuth" (dict "secret" "${SERVICE_SECRET}")
  "listen" (dict "host" "${POD_IP}")
  "database" (dict "url" "${DATABASE_URL}")
  "pods" $pods
  "kubernetes" (dict
    "namespace" (include "kube-sfu.mediaNamespace" .)
    "leaderElection" (dict "name" (include "kube-sfu.leaseName" .) "namespace" .Release.Namespace)) -}}
{{- include "kube-sfu.merge" (list .Values.operator.config $ours) -}}
{{- end -}}

{{- define "kube-sfu.leaseName" -}}
{{- include "kube-sfu.fullname" . }}-operator
{{- end -}}

{{- define "kube-sfu.signalingConfig" -}}
{{- $urls := .Values.signaling.urls | default (include "kube-sfu.publicUrls" . | fromYamlArray) -}}
{{- /* What "kubectl port-forward" gives. */ -}}
{{- $urls = $urls | default (list "http://localhost") -}}
{{- $proxied := or .Values.ingress.enabled .Values.gateway.enabled -}}
{{- $proxies := .Values.signaling.trustedProxies | int -}}
{{- $ours := dict
  "serviceAuth" (dict "secret" "${SERVICE_SECRET}")
  "public" (dict
    "urls" $urls
    "page" .Values.signaling.page.enabled
    "trustedProxies" (ternary (ternary 1 0 $proxied) $proxies (lt $proxies 0)))
  "shutdownDelayMs" (.Values.signaling.shutdownDelayMs | int)
  "internal" (dict "host" "${POD_IP}")
  "database" (dict "url" "${DATABASE_URL}")
  "roomAuth" (dict "secret" "${ROOM_SECRET}")
  "kubernetes" (dict "namespace" (include "kube-sfu.mediaNamespace" .)) -}}
{{- with .Values.signaling.webhooks -}}
{{- $endpoints := list -}}
{{- range . -}}
{{- $secrets := list -}}
{{- range include "kube-sfu.webhookKeysOf" . | fromYamlArray -}}{{- $secrets = append $secrets (printf "${%s}" .) -}}{{- end -}}
{{- $endpoints = append $endpoints (set (omit . "secretKeys") "secrets" $secrets) -}}
{{- end -}}
{{- $_ := set $ours "webhooks" (dict "endpoints" $endpoints) -}}
{{- end -}}
{{- include "kube-sfu.merge" (list .Values.signaling.config $ours) -}}
{{- end -}}

{{/* A list of the addresses at which Ingress and HTTPRoute serve the page. */}}
{{- define "kube-sfu.publicUrls" -}}
{{- $urls := list -}}
{{- if and .Values.ingress.enabled .Values.ingress.host -}}
{{- $urls = append $urls (printf "%s://%s" (ternary "http" "https" (eq .Values.ingress.tls.mode "none")) .Values.ingress.host) -}}
{{- end -}}
{{- if .Values.gateway.enabled -}}
{{- range .Values.gateway.hostnames -}}
{{- $urls = append $urls (printf "%s://%s" $.Values.gateway.scheme .) -}}
{{- end -}}
{{- end -}}
{{- toYaml $urls -}}
{{- end -}}

{{/* Changes with what media nodes read when they start, so that pools roll. */}}
{{- define "kube-sfu.mediaHash" -}}
{{- $secrets := dict -}}
{{- if not .Values.secrets.existingSecret -}}
{{- $secrets = pick (include "kube-sfu.secretData" . | fromYaml) "SERVICE_SECRET" "DATABASE_URL" -}}
{{- end -}}
{{- printf "%s%s" (include "kube-sfu.mediaConfig" .) (toYaml $secrets) | sha256sum | trunc 16 -}}
{{- end -}}

{{- define "kube-sfu.mediaConfig" -}}
{{- $ours := dict
  "serviceAuth" (dict "secret" "${SERVICE_SECRET}")
  "instance" (dict "podName" "${POD_NAME}" "pool" "${POOL}" "role" "${ROLE}")
  "listen" (dict "host" "${POD_IP}" "port" "${API_PORT}")
  "rtc" (dict
    "listenIp" "${POD_IP}"
    "announcedAddress" "${ANNOUNCED_ADDRESS}"
    "portStart" "${RTC_PORT_START}"
    "workers" "${RTC_WORKERS}"
    "pipe" (dict
      "listenIp" "${POD_IP}"
      "portMin" (.Values.networkPolicy.pipePorts.start | int)
      "portMax" (.Values.networkPolicy.pipePorts.end | int)))
  "database" (dict "url" "${DATABASE_URL}") -}}
{{- include "kube-sfu.merge" (list .Values.media.config $ours) -}}
{{- end -}}
