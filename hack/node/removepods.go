package main

import (
	"context"
	"fmt"
	"os"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	cri "k8s.io/cri-client/pkg"
)

const patience = time.Minute

// removePods stops and removes every pod of the container runtime at an endpoint by the calls that the kubelet makes:
// containers end, network devices go, and nothing is left for the next kubelet to find.
func removePods(ctx context.Context, endpoint string) error {
	runtime, err := cri.NewRemoteRuntimeServiceBuilder().
		WithEndpoint(endpoint).
		WithConnectionTimeout(patience).
		Build(ctx)
	if err != nil {
		return err
	}
	pods, err := runtime.ListPodSandbox(ctx, &runtimeapi.PodSandboxFilter{})
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if err := runtime.StopPodSandbox(ctx, pod.Id); err != nil {
			return fmt.Errorf("stop pod %s: %w", pod.Metadata.Name, err)
		}
		if err := runtime.RemovePodSandbox(ctx, pod.Id); err != nil {
			return fmt.Errorf("remove pod %s: %w", pod.Metadata.Name, err)
		}
	}
	return nil
}

func runRemovePods() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: remove-pods ENDPOINT")
		os.Exit(2)
	}
	if err := removePods(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
