{{/* For the chart of a worker that depends on this one. Its pod runs with fsGroup 65532, by which both containers reach the socket.

  metadata:  labels:          {{ include "asynq-collector.sidecar.labels" . }}
  spec:      initContainers:  {{ include "asynq-collector.sidecar.container" . }}
             volumes:         {{ include "asynq-collector.sidecar.volumes" . }}
  worker:    volumeMounts:    {{ include "asynq-collector.sidecar.volumeMount" . }}                                         */}}

{{/* The label by which the PodMonitor finds the pod. */}}
{{- define "asynq-collector.sidecar.labels" -}}
asynq-collector: sidecar
{{- end }}

{{- define "asynq-collector.sidecar.container" -}}
{{- $values := include "asynq-collector.values" . | fromJson }}
{{- $sidecar := $values.sidecar -}}
- name: asynq-collector
  image: {{ include "asynq-collector.image" (dict "image" $values.image "version" (include "asynq-collector.appVersion" .)) }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  # This makes it a sidecar.
  restartPolicy: Always
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
{{- $sidecar := (include "asynq-collector.values" . | fromJson).sidecar -}}
# In memory: a socket takes no space, and is gone with the pod.
- name: otlp
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
# It survives the container, not the pod. Where spans have to survive that too: a StatefulSet with a volume claim.
- name: spool
  {{ include "asynq-collector.spoolVolume" $sidecar.spool }}
{{- include "asynq-collector.secretVolumes" $sidecar }}
{{- end }}

{{- define "asynq-collector.sidecar.volumeMount" -}}
- {name: otlp, mountPath: /run/asynq-collector}
{{- end }}
