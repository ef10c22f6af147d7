{{/* The image: a dictionary with `image` (the values) and `version`. */}}
{{- define "asynq-collector.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .version .image.tag }}
{{- end }}
{{- end }}

{{/* What every container of the collector has, below `args`: a dictionary with `settings`, `secretFiles`, `resources` and `port`
(the port's name). */}}
{{- define "asynq-collector.args" -}}
- run
{{- range $key, $value := .settings }}
{{- if not (kindIs "invalid" $value) }}
- {{ printf "--%s=%s" (replace "." "-" $key) (include "asynq-collector.text" $value) | quote }}
{{- end }}
{{- end }}
{{- range $key, $file := .secretFiles }}
- {{ printf "--%s=/etc/asynq-collector/%s/%s" (replace "." "-" $key) (replace "." "-" $key) $file.key | quote }}
{{- end }}
- "--metrics-listen=:9876"
- "--spool-directory=/var/lib/asynq-collector"
{{- end }}

{{- define "asynq-collector.probes" -}}
# A native sidecar's worker starts when this has succeeded: the socket is there then.
startupProbe:
  httpGet: {path: /-/ready, port: {{ .port }}}
  periodSeconds: 1
  failureThreshold: 30
readinessProbe:
  httpGet: {path: /-/ready, port: {{ .port }}}
# It never depends on Redis or Tempo: a restart would repair neither.
livenessProbe:
  httpGet: {path: /-/healthy, port: {{ .port }}}
  failureThreshold: 3
resources:
  {{- toYaml .resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "asynq-collector.secretMounts" -}}
{{- range $key, $file := .secretFiles }}
- {name: {{ replace "." "-" $key }}, mountPath: /etc/asynq-collector/{{ replace "." "-" $key }}, readOnly: true}
{{- end }}
{{- end }}

{{- define "asynq-collector.secretVolumes" -}}
{{- range $key, $file := .secretFiles }}
- name: {{ replace "." "-" $key }}
  secret:
    secretName: {{ $file.secret }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- define "asynq-collector.spoolVolume" -}}
{{- if .existingClaim -}}
persistentVolumeClaim: {claimName: {{ .existingClaim }}}
{{- else -}}
emptyDir: {sizeLimit: {{ .sizeLimit }}}
{{- end }}
{{- end }}

{{/* The secret files, with that of the token for the web endpoints: a dictionary with `secretFiles` and `webToken`. JSON. */}}
{{- define "asynq-collector.secretFiles" -}}
{{- $files := deepCopy .secretFiles }}
{{- if .webToken.secret }}{{ $files = merge $files (dict "metrics.bearer-token-file" .webToken) }}{{ end }}
{{- $files | toJson }}
{{- end }}

{{/* The seconds in which a pod may end: a list of the settings and the fewest seconds. shutdown.linger fits into them, plus ten
seconds. A duration such as 1h30m is read part by part. */}}
{{- define "asynq-collector.gracePeriod" -}}
{{- $units := dict "d" 86400 "h" 3600 "m" 60 "s" 1 "ms" 0.001 "us" 0.000001 "ns" 0.000000001 }}
{{- $linger := 0.0 }}
{{- range regexFindAll "[0-9.]+[a-z]+" (include "asynq-collector.setting" (list (first .) "shutdown.linger")) -1 }}
{{- $linger = addf $linger (mulf (regexFind "[0-9.]+" . | float64) (index $units (regexFind "[a-z]+" .) | default 0)) }}
{{- end }}
{{- if $linger }}{{ max (int (last .)) (add 10 (ceil $linger | int)) }}{{ else }}{{ last . }}{{ end }}
{{- end }}

{{/* A setting as the command line has it: whole numbers without an exponent, lists with commas. */}}
{{- define "asynq-collector.text" -}}
{{- if kindIs "slice" . }}{{ join "," . }}
{{- else if kindIs "float64" . }}{{ if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- else }}{{ . }}{{ end }}
{{- end }}
