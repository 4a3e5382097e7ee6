"""A Kubernetes to try Tandem on: kind where there is Docker, otherwise Kubernetes as processes of this machine."""
