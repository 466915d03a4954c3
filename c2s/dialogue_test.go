package c2s_test

import (
	"testing"

	"parley/imtest"
)

// TestManagement plays what is said with stream management (XEP-0198).
func TestManagement(t *testing.T) { imtest.Play(t, "testdata/management") }
