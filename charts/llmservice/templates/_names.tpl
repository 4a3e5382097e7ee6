{{- define "llmservice.name" -}}
{{- .Values.name | default .Release.Name -}}
{{- end -}}
