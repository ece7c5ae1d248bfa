{{- define "kvraft.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- /* At most 52 characters: a StatefulSet adds a dash and a hash of ten to the names it labels. */ -}}
{{- define "kvraft.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- $name = .Release.Name }}
{{- else }}
{{- $name = printf "%s-%s" .Release.Name $name }}
{{- end }}
{{- default $name .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "kvraft.headless" -}}
{{ include "kvraft.fullname" . }}-headless
{{- end }}

{{- define "kvraft.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kvraft.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kvraft.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "kvraft.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* name=address of every founding node. DNS names, never IPs: a pod comes back under another. */ -}}
{{- define "kvraft.members" -}}
{{- $pod := include "kvraft.fullname" . }}
{{- $domain := printf "%s.%s.svc.%s" (include "kvraft.headless" .) .Release.Namespace .Values.clusterDomain }}
{{- range $ordinal := until (int .Values.replicaCount) }}
{{- if $ordinal }},{{ end }}
{{- printf "%s-%d=%s-%d.%s:%d" $pod $ordinal $pod $ordinal $domain (int $.Values.raft.port) }}
{{- end }}
{{- end }}

{{- define "kvraft.clusterSecret" -}}
{{- required "clusterSecret.existingSecret is empty: make a Secret with at least 32 random bytes (kubectl create secret generic kvraft --from-literal=cluster-secret=\"$(openssl rand -hex 32)\") and name it there" .Values.clusterSecret.existingSecret }}
{{- end }}
