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
{{- if and .Values.webToken.secret (or (hasKey $scraper.secretFiles "metrics.bearer-token-file") (index $settings "metrics.bearer-token") (index $settings "metrics.bearer-token-file")) }}
{{- fail "webToken.secret sets metrics.bearer-token-file: leave out metrics.bearer-token and metrics.bearer-token-file below scraper" }}
{{- end }}
{{- end }}
{{- if .Values.keda.enabled }}{{ include "asynq-collector.kedaChecks" . }}{{ end }}
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
