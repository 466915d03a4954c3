package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestImport(t *testing.T) {
	a := fresh(t)
	if _, err := a.Add(t.Context(), "eve", good); err != nil {
		t.Fatal(err)
	}
	file := "\ufeffhans falconlongpassword\r\n" + // 1
		"yoda  wise\r\n" + // 2
		"\r\n" + // 3
		"   \n" + // 4
		"vader\n" + // 5
		"Hans otherpassword\n" + // 6
		"hans otherpassword\n" + // 7
		"eve whatever-it-is\n" + // 8
		"EVE whatever-it-is\n" + // 9
		"a@b whatever-it-is\n" + // 10
		"bob with a space\n" + // 11
		"x " + strings.Repeat("p", maxLine) + "\n" + // 12
		"\xff whatever-it-is\n" + // 13
		"\tleia\tprincess-of-alderaan\n" + // 14
		"сосо whatever-it-is\n" + // 15
		"coco whatever-it-is\n" + // 16
		"x " + strings.Repeat("q", 3*maxLine) + "\n" + // 17
		"luke skywalker-red-five" // 18, no end
	res, err := a.Import(t.Context(), strings.NewReader(file), ImportOptions{AllowShort: true})
	if err != nil {
		t.Fatal(err)
	}
	var added, refused []string
	for _, acc := range res.Added {
		added = append(added, acc.Name)
		if got, ok := a.Lookup(acc.Name); !ok || got != acc {
			t.Errorf("%s is not there", acc.Name)
		}
	}
	if want := []string{"hans", "yoda", "leia", "сосо", "luke"}; !slices.Equal(added, want) {
		t.Errorf("added %q, want %q", added, want)
	}
	if !slices.Equal(res.Short, []string{"yoda"}) {
		t.Errorf("short: %q", res.Short)
	}
	for _, e := range res.Refused {
		text, _, _ := strings.Cut(e.Error(), " (added")
		refused = append(refused, text)
	}
	want := []string{
		`line 5: "vader" has no password`,
		`line 6: "Hans" differs only in case from "hans" in line 1`,
		`line 7: "hans" is in line 1 already`,
		`line 8: eve@example.com exists already`,
		`line 9: "EVE" differs only in case from eve@example.com, which exists already`,
		`line 10: "a@b" cannot be a user name: it has an @; the name alone is enough`,
		`line 11: it has 4 words; a name and a password were expected`,
		`line 12: it is longer than 4096 bytes`,
		`line 13: it is not UTF-8 text`,
		`line 16: "coco" cannot be a user name: it looks the same as сосо in another line`,
		`line 17: it is longer than 4096 bytes`,
	}
	if !slices.Equal(refused, want) {
		t.Errorf("refused\n%s\nwant\n%s", strings.Join(refused, "\n"), strings.Join(want, "\n"))
	}
	if !errors.Is(res.Refused[3], ErrExists) {
		t.Error("the kind of an error is lost")
	}
	for name, password := range map[string]string{"hans": "falconlongpassword", "yoda": "wise", "luke": "skywalker-red-five"} {
		if err := signIn(t, a, name, password); err != nil {
			t.Errorf("sign in as %s: %v", name, err)
		}
	}
	// The same file once more changes nothing.
	again, err := a.Import(t.Context(), strings.NewReader(file), ImportOptions{AllowShort: true})
	if err != nil || len(again.Added) != 0 || a.Count() != 6 {
		t.Errorf("once more: %d added, %v", len(again.Added), err)
	}
}

func TestImportShortRefused(t *testing.T) {
	a := fresh(t)
	// A line that was refused does not make the next one a second one.
	res, err := a.Import(t.Context(), strings.NewReader("yoda wise\nyoda much-wiser-than-that\n"), ImportOptions{})
	if err != nil || len(res.Added) != 1 || len(res.Short) != 0 || len(res.Refused) != 1 || !errors.Is(res.Refused[0], ErrShort) {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestImportMany(t *testing.T) {
	a := fresh(t)
	var file strings.Builder
	for i := range 3*importBatch + 7 {
		fmt.Fprintf(&file, "user%03d password-number-%d\n", i, i)
	}
	res, err := a.Import(t.Context(), iotest.OneByteReader(strings.NewReader(file.String())), ImportOptions{})
	if err != nil || len(res.Added) != 3*importBatch+7 || len(res.Refused) != 0 {
		t.Fatalf("%d added, %d refused, %v", len(res.Added), len(res.Refused), err)
	}
	for i, acc := range res.Added {
		if acc.Name != fmt.Sprintf("user%03d", i) || int(acc.Owner) != i+1 {
			t.Fatalf("%d: %+v", i, acc)
		}
	}
}

func TestImportErrors(t *testing.T) {
	a := fresh(t)
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader("bob long-enough-password\n"), iotest.ErrReader(broken))
	if _, err := a.Import(t.Context(), r, ImportOptions{}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res, err := a.Import(ctx, strings.NewReader("bob long-enough-password\n"), ImportOptions{}); err == nil || len(res.Added) != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	for _, file := range []string{"", "\n\n", "\ufeff", "\r\n"} {
		if res, err := a.Import(t.Context(), strings.NewReader(file), ImportOptions{}); err != nil || len(res.Added)+len(res.Refused) != 0 {
			t.Errorf("%q: %+v, %v", file, res, err)
		}
	}
}
