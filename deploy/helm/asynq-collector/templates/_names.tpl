{{- define "asynq-collector.name" -}}
{{- default "asynq-collector" .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "asynq-collector.fullname" -}}
{{- $name := include "asynq-collector.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "asynq-collector.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "asynq-collector.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "asynq-collector.selectorLabels" -}}
app.kubernetes.io/name: {{ include "asynq-collector.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: scraper
{{- end }}

{{- define "asynq-collector.labels" -}}
{{ include "asynq-collector.selectorLabels" . }}
{{ include "asynq-collector.chartLabels" . }}
{{- end }}

{{- define "asynq-collector.chartLabels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The values of this chart, also where a worker's chart that depends on it calls. */}}
{{- define "asynq-collector.values" -}}
{{- if eq .Chart.Name "asynq-collector" }}{{ .Values | toJson }}{{ else }}{{ index .Values "asynq-collector" | toJson }}{{ end }}
{{- end }}

{{- define "asynq-collector.appVersion" -}}
{{- if eq .Chart.Name "asynq-collector" }}{{ .Chart.AppVersion }}{{ else }}{{ (index .Subcharts "asynq-collector").Chart.AppVersion }}{{ end }}
{{- end }}
