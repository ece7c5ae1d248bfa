{{- define "kvraft.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- /* At most 43 characters: a StatefulSet adds a dash and a hash of ten to names that it labels, and
Services and jobs have endings of their own. */ -}}
{{- define "kvraft.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- $name = .Release.Name }}
{{- else }}
{{- $name = printf "%s-%s" .Release.Name $name }}
{{- end }}
{{- default $name .Values.fullnameOverride | trunc 43 | trimSuffix "-" }}
{{- end }}

{{- define "kvraft.headless" -}}
{{ include "kvraft.fullname" . }}-headless
{{- end }}

{{- /* What every object of this release has and keeps; nodes and jobs add their component. */ -}}
{{- define "kvraft.instanceLabels" -}}
app.kubernetes.io/name: {{ include "kvraft.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* The nodes, and not the pods of jobs. */ -}}
{{- define "kvraft.selectorLabels" -}}
{{ include "kvraft.instanceLabels" . }}
app.kubernetes.io/component: node
{{- end }}

{{- define "kvraft.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "kvraft.labels" -}}
{{ include "kvraft.commonLabels" . }}
{{ include "kvraft.selectorLabels" . }}
{{- end }}

{{- define "kvraft.jobLabels" -}}
{{ include "kvraft.commonLabels" . }}
{{ include "kvraft.instanceLabels" . }}
app.kubernetes.io/component: job
{{- end }}

{{- define "kvraft.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- /* DNS names end here; those of pods stand before it. */ -}}
{{- define "kvraft.headlessDomain" -}}
{{ include "kvraft.headless" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end }}

{{- define "kvraft.serviceDomain" -}}
{{ include "kvraft.fullname" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end }}

{{- define "kvraft.hasNodeCertificates" -}}
{{- if ne .Values.security.mode "clusterSecret" }}true{{ end }}
{{- end }}

{{- /* The Secret with the certificate of the nodes. */ -}}
{{- define "kvraft.tlsSecret" -}}
{{- if eq .Values.security.mode "existingSecret" -}}
{{- required "security.mode is existingSecret: name a Secret with ca.crt, tls.crt and tls.key in security.tls.existingSecret" .Values.security.tls.existingSecret }}
{{- else -}}
{{ include "kvraft.fullname" . }}-tls
{{- end }}
{{- end }}

{{- /* The Secret with the certificate of HTTP; empty for plain HTTP. */ -}}
{{- define "kvraft.httpTlsSecret" -}}
{{- if eq .Values.http.tls.mode "existingSecret" -}}
{{- required "http.tls.mode is existingSecret: name a Secret with tls.crt and tls.key in http.tls.existingSecret" .Values.http.tls.existingSecret }}
{{- else if and (eq .Values.http.tls.mode "auto") (include "kvraft.hasNodeCertificates" .) -}}
{{ include "kvraft.tlsSecret" . }}
{{- end }}
{{- end }}

{{- define "kvraft.scheme" -}}
{{ if include "kvraft.httpTlsSecret" . }}https{{ else }}http{{ end }}
{{- end }}

{{- define "kvraft.serviceUrl" -}}
{{ include "kvraft.scheme" . }}://{{ include "kvraft.serviceDomain" . }}:{{ .Values.http.port }}
{{- end }}

{{- /* Every node by its own name, ready or not. */ -}}
{{- define "kvraft.nodeUrls" -}}
{{- range $ordinal := until (int .Values.replicaCount) }}
{{- if $ordinal }},{{ end }}
{{- include "kvraft.scheme" $ }}://{{ include "kvraft.fullname" $ }}-{{ $ordinal }}.{{ include "kvraft.headlessDomain" $ }}:{{ $.Values.http.port }}
{{- end }}
{{- end }}

{{- /* Whether anything is needed of the Secret with the cluster secret and the tokens. */ -}}
{{- define "kvraft.needsSecret" -}}
{{- if or (eq .Values.security.mode "clusterSecret") (not .Values.http.insecure) }}true{{ end }}
{{- end }}

{{- define "kvraft.secret" -}}
{{- if .Values.security.secret.existing -}}
{{ .Values.security.secret.existing }}
{{- else if .Values.security.allowGenerated -}}
{{ include "kvraft.fullname" . }}
{{- else -}}
{{- include "kvraft.noSecret" . | fail }}
{{- end }}
{{- end }}

{{- define "kvraft.noSecret" -}}
security.secret.existing is empty. Make a Secret and name it there:

  TOKEN="kvraft_$(openssl rand -hex 32)"
  kubectl -n {{ .Release.Namespace }} create secret generic kvraft \
    --from-literal=cluster-secret="$(openssl rand -hex 32)" --from-literal=admin-token="$TOKEN" \
    --from-literal=tokens="admin admin sha256:$(printf %s "$TOKEN" | sha256sum | cut -d' ' -f1)"

or set security.allowGenerated=true, and Helm makes one (not under `helm template` or Argo CD)
{{- end }}

{{- /* DNS names of the certificate of the nodes. Nodes are known to each other by their ids, so one
certificate serves all; clients want names. */ -}}
{{- define "kvraft.dnsNames" -}}
{{- $short := include "kvraft.fullname" . }}
{{- $namespaced := printf "%s.%s" $short .Release.Namespace }}
{{- $names := list (printf "*.%s" (include "kvraft.headlessDomain" .)) (include "kvraft.serviceDomain" .) }}
{{- $names = concat $names (list (printf "%s.svc" $namespaced) $namespaced $short "localhost") }}
{{- concat $names .Values.security.tls.extraDNSNames | toYaml }}
{{- end }}

{{- /* What restarts nodes when it changes: not bootstrapExpect, which scaling changes. */ -}}
{{- define "kvraft.settings" -}}
KVRAFT_DISCOVER_DNS: "{{ include "kvraft.headlessDomain" . }}:{{ .Values.raft.port }}"
KVRAFT_LISTEN: "0.0.0.0:{{ .Values.raft.port }}"
KVRAFT_LISTEN_HTTP: "0.0.0.0:{{ .Values.http.port }}"
KVRAFT_LISTEN_HEALTH: "0.0.0.0:{{ .Values.health.port }}"
# A folder below the mount, whose own top may hold a lost+found.
KVRAFT_DATA_DIR: /var/lib/kvraft/data
# A node that was scaled away and is wanted again begins anew.
KVRAFT_REJOIN: "true"
{{- if include "kvraft.hasNodeCertificates" . }}
KVRAFT_TLS_CA: /etc/kvraft/tls/ca.crt
KVRAFT_TLS_CERT: /etc/kvraft/tls/tls.crt
KVRAFT_TLS_KEY: /etc/kvraft/tls/tls.key
{{- end }}
{{- if include "kvraft.httpTlsSecret" . }}
{{- $folder := ternary "http-tls" "tls" (eq .Values.http.tls.mode "existingSecret") }}
KVRAFT_HTTP_TLS_CERT: /etc/kvraft/{{ $folder }}/tls.crt
KVRAFT_HTTP_TLS_KEY: /etc/kvraft/{{ $folder }}/tls.key
{{- end }}
{{- if .Values.http.insecure }}
KVRAFT_INSECURE_HTTP: "true"
{{- else }}
KVRAFT_TOKEN_FILE: /etc/kvraft/secret/{{ .Values.security.secret.tokensKey }}
{{- end }}
{{- range $name, $value := .Values.config }}
KVRAFT_{{ $name | snakecase | upper }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "kvraft.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
# Only where the top of a volume is not ours yet: a large volume is not walked at each start.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "kvraft.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* The pod of a job, whose only container runs the server's own commands. Takes a dict: root, args,
and if need be urls, volumes and mounts. */ -}}
{{- define "kvraft.jobPod" -}}
{{- $ := .root -}}
{{- $token := not $.Values.http.insecure }}
{{- $ca := include "kvraft.httpTlsSecret" $ -}}
serviceAccountName: {{ include "kvraft.fullname" $ }}
automountServiceAccountToken: false
enableServiceLinks: false
restartPolicy: Never
{{- with $.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "kvraft.podSecurity" $ | nindent 2 }}
containers:
  - name: kvraft
    image: {{ include "kvraft.image" $ | quote }}
    imagePullPolicy: {{ $.Values.image.pullPolicy }}
    args: {{ toJson .args }}
    env:
      - name: POD_NAME
        valueFrom:
          fieldRef:
            fieldPath: metadata.name
      - name: KVRAFT_URL
        value: {{ .urls | default (include "kvraft.serviceUrl" $) | quote }}
      {{- if $token }}
      - name: KVRAFT_BEARER_TOKEN_FILE
        value: /etc/kvraft/secret/{{ $.Values.security.secret.adminTokenKey }}
      {{- end }}
      {{- if $ca }}
      - name: KVRAFT_CA
        value: /etc/kvraft/ca/ca.crt
      {{- end }}
    resources:
      {{- toYaml $.Values.jobs.resources | nindent 6 }}
    securityContext:
      {{- include "kvraft.containerSecurity" $ | nindent 6 }}
    {{- if or $token $ca .mounts }}
    volumeMounts:
      {{- if $token }}
      - name: secret
        mountPath: /etc/kvraft/secret
        readOnly: true
      {{- end }}
      {{- if $ca }}
      - name: ca
        mountPath: /etc/kvraft/ca
        readOnly: true
      {{- end }}
      {{- with .mounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- end }}
{{- if or $token $ca .volumes }}
volumes:
  {{- if $token }}
  - name: secret
    secret:
      secretName: {{ include "kvraft.secret" $ }}
      defaultMode: 0440
      items:
        - key: {{ $.Values.security.secret.adminTokenKey }}
          path: {{ $.Values.security.secret.adminTokenKey }}
  {{- end }}
  {{- if $ca }}
  - name: ca
    secret:
      secretName: {{ $ca }}
      defaultMode: 0440
      items:
        - key: ca.crt
          path: ca.crt
  {{- end }}
  {{- with .volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
