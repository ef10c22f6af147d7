package transport

import (
	"strings"
	"testing"
)

func TestASocketIsAPath(t *testing.T) {
	for text, want := range map[string]string{
		"/run/asynq-collector/otlp.sock": "/run/asynq-collector/otlp.sock", "unix:///run/o.sock": "/run/o.sock",
		"unix:/run/o.sock": "/run/o.sock", "unix:o.sock": "o.sock", "UNIX:///run/o.sock": "/run/o.sock", " /run/o.sock\n": "/run/o.sock",
	} {
		if target, err := ParseTarget(text, "4317", "WithTLS"); err != nil || target != (Target{Socket: want}) {
			t.Errorf("%q: %v, %v", text, target, err)
		}
	}
}

func TestAnAddressHasHostAndPort(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:4317": "127.0.0.1:4317", "collector:4318": "collector:4318", "[::1]:4317": "[::1]:4317", ":4317": "localhost:4317",
		"http://collector:4318": "collector:4318", "http://collector:4318/": "collector:4318",
		"http://collector:4318/v1/traces": "collector:4318", "HTTP://[::1]:4318": "[::1]:4318", "collector:4317\n": "collector:4317",
	} {
		if target, err := ParseTarget(text, "4317", "WithTLS"); err != nil || target != (Target{Address: want}) {
			t.Errorf("%q: %v, %v", text, target, err)
		}
	}
}

func TestWhatSpansCanNotReachIsAnErrorThatSaysWhatToGive(t *testing.T) {
	for _, text := range []string{
		"", " ", "\n", "collector", "localhost", "127.0.0.1", "::1", "collector:", "collector:0", "collector:70000", "collector:x",
		"otlp.sock", "unix:", "unix://", "unix://run/otlp.sock", "http://", "http://collector", "http:///v1/traces", "http://collector:4318/prefix",
		"http://collector:4318?x=1", "grpc://collector:4317", "tcp://collector:4317", "collector:4318/v1/traces", "http://a b:1",
	} {
		target, err := ParseTarget(text, "4317", "WithTLS")
		if err == nil || target != (Target{}) {
			t.Errorf("%q: %v", text, target)
			continue
		}
		for _, part := range []string{"/run/asynq-collector/otlp.sock", "127.0.0.1:4317"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v does not say %s", text, err, part)
			}
		}
	}
}

func TestTLSAndCredentialsBelongIntoOptions(t *testing.T) {
	for text, want := range map[string]string{"https://collector:4317": "WithTLS", "http://joe:s3cret@collector:4318": "headers"} {
		_, err := ParseTarget(text, "4318", "WithTLS")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
