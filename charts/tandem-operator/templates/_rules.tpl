{{/* What the operator may do in each namespace that it looks after. */}}
{{- define "tandem-operator.rules" -}}
# LLMServices are read and never written: their spec belongs to users.
- apiGroups: [tandem.dev]
  resources: [llmservices]
  verbs: [get, list, watch]
# Conditions, URL and replica counts.
- apiGroups: [tandem.dev]
  resources: [llmservices/status]
  verbs: [get, patch]
# Children name their LLMService as owner; clusters that check owner references (OpenShift) ask for this right.
- apiGroups: [tandem.dev]
  resources: [llmservices/finalizers]
  verbs: [update]
# Engine and orchestrator. Watched, so that a change by hand is put right; deleted when no longer wanted.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
# The URL of each service and its orchestrator's configuration; each tier's identity, which has no rights of its own.
# Of other ConfigMaps those alone are asked for that an LLMService names in its own namespace, to say which key is missing.
- apiGroups: [""]
  resources: [services, configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
# The engine's generated API key. RBAC cannot select by label: the operator itself asks only for Secrets that carry
# tandem.dev/llmservice; to say which key is missing, for those that an LLMService names in its own namespace; and, for
# authors.secrets.selector, for the names of those that it picks.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# The volume of an orchestrator whose state is a file. Never deleted: it goes with its LLMService.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch]
# Migrates a PostgreSQL before new orchestrators start; made anew after it failed, and never changed.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
# The orchestrator's autoscaler.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
# Keeps all tiers answering while nodes are drained.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Closes the engines to everyone but their orchestrator and the monitoring namespace.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# Scraping of all tiers, where the Prometheus operator is installed.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
# Why a pod does not start: out of memory, no GPU, image not found. A pod of an engine that hangs is deleted, for its
# Deployment to make another.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
# Which pods a service's own Deployment has made: only these are asked how they are.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get]
# What `kubectl describe llm` shows; and what Kubernetes says about a claim that is not bound.
- apiGroups: [""]
  resources: [events]
  verbs: [list, create, patch]
{{- end -}}
