{{/* For the chart of a worker that depends on this one. Its pod runs with fsGroup 65532, by which both containers reach the socket.

  metadata:  labels:          {{ include "asynq-collector.sidecar.labels" . }}
  spec:      initContainers:  {{ include "asynq-collector.sidecar.container" . }}       with sidecar.native: false below containers
             volumes:         {{ include "asynq-collector.sidecar.volumes" . }}
             terminationGracePeriodSeconds: {{ include "asynq-collector.sidecar.gracePeriod" (list . 60) }}      60 or more
  worker:    volumeMounts:    {{ include "asynq-collector.sidecar.volumeMount" . }}                                         */}}

{{/* The label by which the PodMonitor finds the pod. */}}
{{- define "asynq-collector.sidecar.labels" -}}
asynq-collector: sidecar
{{- end }}

{{/* The setting sidecar.native, or nothing. */}}
{{- define "asynq-collector.sidecar.native" -}}
{{- if (include "asynq-collector.values" . | fromJson).sidecar.native }}true{{ end }}
{{- end }}

{{/* The values below `sidecar`, with what follows from others. JSON. */}}
{{- define "asynq-collector.sidecar.values" -}}
{{- $values := include "asynq-collector.values" . | fromJson }}
{{- $sidecar := $values.sidecar }}
{{- $files := include "asynq-collector.secretFiles" (dict "secretFiles" $sidecar.secretFiles "webToken" $values.webToken) | fromJson }}
{{- $settings := deepCopy $sidecar.settings }}
{{- if not $sidecar.native }}{{ $settings = merge $settings (dict "shutdown.linger" "20s") }}{{ end }}
{{- merge (dict "secretFiles" $files "settings" $settings) $sidecar | toJson }}
{{- end }}

{{- define "asynq-collector.sidecar.container" -}}
{{- $values := include "asynq-collector.values" . | fromJson }}
{{- $sidecar := include "asynq-collector.sidecar.values" . | fromJson -}}
- name: asynq-collector
  image: {{ include "asynq-collector.image" (dict "image" $values.image "version" (include "asynq-collector.appVersion" .)) }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  {{- if $sidecar.native }}
  # This makes it a sidecar, which is stopped after the worker: it needs no shutdown.linger.
  restartPolicy: Always
  {{- end }}
  args:
    {{- include "asynq-collector.args" $sidecar | nindent 4 }}
  ports:
    - {name: asynq-metrics, containerPort: 9876}
  {{- include "asynq-collector.probes" (dict "port" "asynq-metrics" "resources" $sidecar.resources) | nindent 2 }}
  volumeMounts:
    - {name: otlp, mountPath: /run/asynq-collector}
    - {name: spool, mountPath: /var/lib/asynq-collector}
    {{- with include "asynq-collector.secretMounts" $sidecar }}{{ nindent 4 (trim .) }}{{ end }}
{{- end }}

{{- define "asynq-collector.sidecar.volumes" -}}
{{- $sidecar := include "asynq-collector.sidecar.values" . | fromJson -}}
# In memory: a socket takes no space, and is gone with the pod.
- name: otlp
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
# It survives the container, not the pod. Where spans have to survive that too: a StatefulSet with a volume claim.
- name: spool
  {{ include "asynq-collector.spoolVolume" $sidecar.spool }}
{{- include "asynq-collector.secretVolumes" $sidecar }}
{{- end }}

{{/* The seconds in which the pod may end: a list of the context and the fewest seconds. */}}
{{- define "asynq-collector.sidecar.gracePeriod" -}}
{{- $sidecar := include "asynq-collector.sidecar.values" (first .) | fromJson }}
{{- include "asynq-collector.gracePeriod" (list $sidecar.settings (last .)) }}
{{- end }}

{{- define "asynq-collector.sidecar.volumeMount" -}}
- {name: otlp, mountPath: /run/asynq-collector}
{{- end }}
