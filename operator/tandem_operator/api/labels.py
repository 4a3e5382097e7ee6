"""Labels and annotations as Kubernetes writes them."""

from typing import Annotated

from pydantic import Field, StringConstraints

LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=317)]
LabelValue = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$", max_length=63)]
AnnotationValue = Annotated[str, Field(max_length=4096)]
