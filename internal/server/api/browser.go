package api

import "net/http"

// hstsLife is for how many seconds a browser that was here comes by TLS only: a
// year, as lists of such sites want.
const hstsLife = "31536000"

// guardBrowsers says in the head of every answer what a browser may not do with
// it. A route that serves pages says something else of them.
func guardBrowsers(h http.Header) {
	h.Set("Strict-Transport-Security", "max-age="+hstsLife) // other hosts of the domain are not ours to speak for
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}
