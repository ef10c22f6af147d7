{{/* What the schema cannot say: values that fit one by one, and not together. Each template that such values would spoil includes it. */}}
{{- define "asynq-collector.checks" -}}
{{- $scraper := .Values.scraper }}
{{- $settings := $scraper.settings }}
{{- if and .Values.gateway.enabled (not $scraper.enabled) }}{{ fail "gateway.enabled needs scraper.enabled: the gateway is the scraper that also receives spans" }}{{ end }}
{{- if $scraper.enabled }}
{{- if and $scraper.spool.existingClaim (gt (int $scraper.replicas) 1) }}
{{- fail "scraper.replicas must be 1 with scraper.spool.existingClaim: a spool belongs to one process" }}
{{- end }}
{{- if .Values.gateway.enabled }}
{{- if not (has (include "asynq-collector.setting" (list $settings "otlp.listen")) (list "" "none" ":4317,:4318")) }}
{{- fail "gateway.enabled sets otlp.listen to :4317,:4318, the ports of its Service: leave out scraper.settings.otlp.listen" }}
{{- end }}
{{- if not (or (index $settings "tempo.endpoint") (index $settings "tempo.endpoint-file") (hasKey $scraper.secretFiles "tempo.endpoint-file")) }}
{{- fail "gateway.enabled needs scraper.settings.tempo.endpoint: where spans are sent, or none to use them for metrics only" }}
{{- end }}
{{- end }}
{{- end }}
{{- if $scraper.enabled }}{{ include "asynq-collector.credentialChecks" (list . "scraper" (or .Values.monitors.enabled .Values.keda.enabled)) }}{{ end }}
{{- include "asynq-collector.credentialChecks" (list . "sidecar" .Values.monitors.enabled) }}
{{- if .Values.keda.enabled }}{{ include "asynq-collector.kedaChecks" . }}{{ end }}
{{- end }}

{{/* Monitors and KEDA send the token of webToken and no other: a list of the context, `scraper` or `sidecar`, and whether they read it. */}}
{{- define "asynq-collector.credentialChecks" -}}
{{- $name := index . 1 }}
{{- $section := index (first .).Values $name }}
{{- $hasToken := (first .).Values.webToken.secret }}
{{- $isRead := last . }}
{{- range $key := list "metrics.bearer-token" "metrics.bearer-token-file" "metrics.password" "metrics.password-file" }}
{{- if or (index $section.settings $key) (hasKey $section.secretFiles $key) }}
{{- if and $hasToken (hasPrefix "metrics.bearer-token" $key) }}
{{- fail (printf "webToken.secret sets metrics.bearer-token-file: leave out %s below %s" $key $name) }}
{{- end }}
{{- if and $isRead (not $hasToken) }}
{{- fail (printf "%s below %s needs webToken.secret: monitors and KEDA send only that token, and would get 401. A password is accepted beside it" $key $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "asynq-collector.kedaChecks" -}}
{{- $settings := .Values.scraper.settings }}
{{- if not .Values.scraper.enabled }}{{ fail "keda.enabled needs scraper.enabled: KEDA asks the scraper" }}{{ end }}
{{- if eq (include "asynq-collector.setting" (list $settings "metrics.pages")) "false" }}
{{- fail "keda.enabled needs metrics.pages: KEDA's numbers are one of the pages, so leave out scraper.settings.metrics.pages" }}
{{- end }}
{{- if eq (include "asynq-collector.setting" (list $settings "redis.url")) "none" }}
{{- fail "keda.enabled needs scraper.settings.redis.url: the numbers for KEDA are read from Redis" }}
{{- end }}
{{- $deployments := dict }}
{{- range .Values.keda.workers }}
{{- if hasKey $deployments .deployment }}
{{- fail (printf "keda.workers has two entries for the deployment %s: KEDA takes one ScaledObject for each, so give each queue a deployment of its own" .deployment) }}
{{- end }}
{{- $_ := set $deployments .deployment true }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}{{ fail (printf "keda.workers: minReplicas of %s is above its maxReplicas" .deployment) }}{{ end }}
{{- if gt (int .fallbackReplicas) (int .maxReplicas) }}{{ fail (printf "keda.workers: fallbackReplicas of %s is above its maxReplicas" .deployment) }}{{ end }}
{{- end }}
{{- end }}

{{/* The text of one setting, or nothing where it is absent or null: a list of the settings and the key. */}}
{{- define "asynq-collector.setting" -}}
{{- $value := index (first .) (last .) }}
{{- if not (kindIs "invalid" $value) }}{{ include "asynq-collector.text" $value }}{{ end }}
{{- end }}
