// Package js has the JavaScript client for browsers and Node, so that the binary can serve it to pages.
package js

import _ "embed"

// Source is roomcast.js, the client as one ES module. Nobody changes it.
//
//go:embed roomcast.js
var Source []byte
