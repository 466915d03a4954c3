package carbons_test

import (
	"testing"

	"parley/imtest"
)

func TestDialogues(t *testing.T) { imtest.Play(t, "testdata") }
