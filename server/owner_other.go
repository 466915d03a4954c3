//go:build !unix

package server

// likeDirectory has nothing to do: files belong to whom their directory's rules say.
func likeDirectory(dir, from string, names []string) error { return nil }
