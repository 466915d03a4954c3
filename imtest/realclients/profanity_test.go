package realclients

import (
	"fmt"
	"testing"

	"parley/imtest"
)

// profanity is Debian's terminal client, signed in after some commands.
func profanity(t *testing.T, s *serverProcess, name string, commands ...string) *screen {
	t.Helper()
	p := openScreen(t, "profanity", "-l", "DEBUG")
	p.shows("Type '/help'")
	for _, c := range commands {
		p.enter(c)
	}
	p.enter(fmt.Sprintf("/connect %s@localhost server 127.0.0.1 port %s tls trust", name, s.port))
	p.shows("Enter password")
	p.enter(password)
	p.shows("logged in successfully", "[online]")
	return p
}

// TestProfanity has two people talk by Debian's profanity, on a server where they first have to agree that they see each
// other: sign-in, roster, subscriptions, messages, presence, blocking, commands with and without a form.
func TestProfanity(t *testing.T) {
	imtest.Need(t, "profanity")
	s := startServer(t, buildParley(t), "--contacts", "roster")
	alice, bob := profanity(t, s, "alice"), profanity(t, s, "bob")

	t.Log("subscriptions, both ways")
	alice.enter("/sub request bob@localhost")
	bob.shows("authorization request from alice@localhost")
	bob.enter("/sub allow alice@localhost")
	alice.shows("Subscription received from bob@localhost", "bob@localhost", "is online")
	bob.enter("/sub request alice@localhost")
	alice.shows("authorization request from bob@localhost")
	alice.enter("/sub allow bob@localhost")
	bob.shows("Subscription received from alice@localhost")
	alice.enter("/win 1")
	alice.enter("/roster")
	alice.shows("bob@localhost - both", "localhost (Parley) - both")
	alice.lacks("Server error enabling message carbons")

	t.Log("presence")
	alice.enter(`/status set away "gone fishing"`)
	bob.enter("/win 1")
	bob.shows(`is away, "gone fishing"`)
	alice.enter("/status set online back")
	bob.shows(`is online, "back"`)

	t.Log("messages, there and back")
	alice.enter("/msg bob@localhost hello, café 日本語")
	bob.shows("chat message: alice@localhost")
	bob.enter("/win 2")
	bob.shows("hello, café 日本語")
	bob.enter("and back")
	alice.shows("and back")

	t.Log("blocking")
	bob.enter("/win 1")
	bob.enter("/blocked add alice@localhost")
	bob.shows("alice@localhost successfully blocked")
	alice.enter("/msg bob@localhost still there?")
	alice.shows("Your message could not be delivered as the recipient has blocked you.")
	bob.enter("/blocked remove alice@localhost")
	bob.shows("alice@localhost successfully unblocked")
	alice.enter("/msg bob@localhost and now?")
	bob.enter("/win 2")
	bob.shows("and now?")

	t.Log("commands")
	alice.enter("/win 1")
	alice.enter("/clear")
	alice.enter("/cmd list localhost")
	alice.shows("urn:parley:0#broadcast", "urn:parley:0#whoelse", "urn:parley:0#whoelsesince")
	alice.enter("/cmd exec urn:parley:0#whoelse localhost")
	alice.shows("Who else is online", "bob")
	alice.enter("/cmd exec urn:parley:0#broadcast localhost")
	alice.shows("Message everyone online", "[field1]")
	alice.enter("/field1 add lunch in 5 minutes")
	alice.enter("/form submit")
	bob.enter("/win 1")
	bob.shows("lunch in 5 minutes")

	t.Log("the contact Parley")
	alice.enter("/msg localhost whoelse")
	alice.shows("1 person online:")

	t.Log("what was sent to somebody who is not there waits for him")
	bob.enter("/quit")
	alice.enter("/win 1")
	alice.shows("bob@localhost", "is offline")
	alice.enter("/msg bob@localhost while you were away")
	bob = profanity(t, s, "bob")
	bob.enter("/win 2")
	bob.shows("while you were away")
	t.Run("the server stops in order", s.stop)
}
