// Package ext has the types by which others extend Traefik's configuration. Traefik's module takes them from a folder beside it,
// which its published archive lacks, and where they are empty.
package ext

// HTTP adds nothing to the HTTP configuration.
type HTTP struct{}

// DeepCopyInto copies nothing.
func (in *HTTP) DeepCopyInto(out *HTTP) { *out = *in }

// Router adds nothing to a router.
type Router struct{}

// DeepCopyInto copies nothing.
func (in *Router) DeepCopyInto(out *Router) { *out = *in }
