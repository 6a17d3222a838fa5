package probe

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
)

// A sshKey is a public key as OpenSSH writes it on a line of its own or in a
// list of authorized keys (sshd(8)).
type sshKey struct {
	kind, fingerprint, comment, options string
	bits                                int
}

// parseSSHKey reads such a line: perhaps options, the kind of key, the key in
// base64, perhaps a comment.
func parseSSHKey(line string) (sshKey, bool) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return sshKey{}, false
	}
	var k sshKey
	word, rest := firstWord(line)
	if !isKeyKind(word) {
		k.options = word
		word, rest = firstWord(rest)
	}
	encoded, comment := firstWord(rest)
	blob, err := base64.StdEncoding.DecodeString(encoded)
	inside, after, ok := sshString(blob)
	if !isKeyKind(word) || err != nil || !ok || string(inside) != word {
		return sshKey{}, false
	}
	sum := sha256.Sum256(blob)
	k.kind, k.comment = word, comment
	k.fingerprint = "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
	k.bits = keyBits(word, after)
	return k, true
}

// firstWord cuts a line after its first word, in which quotes keep blanks.
func firstWord(s string) (word, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted && i+1 < len(s):
			i++
		case c == '"':
			quoted = !quoted
		case (c == ' ' || c == '\t') && !quoted:
			return s[:i], strings.TrimSpace(s[i:])
		}
	}
	return s, ""
}

func isKeyKind(word string) bool {
	for _, prefix := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "rsa-sha2-"} {
		if strings.HasPrefix(word, prefix) && !strings.ContainsAny(word, `",=`) {
			return true
		}
	}
	return false
}

// sshString takes a string off what RFC 4251 section 5 says: its length in four
// bytes before it.
func sshString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := uint64(binary.BigEndian.Uint32(b))
	if b = b[4:]; n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// keyBits is the length of a key, 0 if its kind does not tell.
func keyBits(kind string, b []byte) int {
	numbers := map[string]int{"ssh-rsa": 2, "ssh-dss": 1} // which number of the key tells its length
	if i := numbers[kind]; i > 0 {
		var n []byte
		for range i {
			var ok bool
			if n, b, ok = sshString(b); !ok {
				return 0
			}
		}
		return bitLength(n)
	}
	for mark, bits := range map[string]int{"ed25519": 256, "nistp256": 256, "nistp384": 384, "nistp521": 521, "ed448": 448} {
		if strings.Contains(kind, mark) {
			return bits
		}
	}
	return 0
}

// bitLength is how many bits a big-endian number has without leading zeros.
func bitLength(n []byte) int {
	for len(n) > 0 && n[0] == 0 {
		n = n[1:]
	}
	if len(n) == 0 {
		return 0
	}
	return (len(n)-1)*8 + len(strconv.FormatUint(uint64(n[0]), 2))
}

// privateKey tells the form of a private key and whether a passphrase protects
// it. It is false for what is no private key.
func privateKey(text string) (form string, encrypted, ok bool) {
	const begin, end = "-----BEGIN ", "PRIVATE KEY-----"
	_, text, found := strings.Cut(text, begin)
	kind, body, closed := strings.Cut(text, end)
	if !found || !closed || strings.ContainsAny(kind, "\r\n") {
		return "", false, false
	}
	switch kind = strings.TrimSpace(kind); kind {
	case "OPENSSH":
		return kind, opensshEncrypted(body), true
	case "ENCRYPTED":
		return "PKCS #8", true, true
	case "":
		return "PKCS #8", false, true
	}
	return kind, strings.Contains(body, "Proc-Type: 4,ENCRYPTED"), true
}

// opensshEncrypted reads the cipher of OpenSSH's own form: after a magic the
// cipher's name, "none" for a key without a passphrase.
func opensshEncrypted(body string) bool {
	const magic = "openssh-key-v1\x00"
	body, _, _ = strings.Cut(body, "-----END")
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
	if err != nil || !strings.HasPrefix(string(b), magic) {
		return false
	}
	cipher, _, ok := sshString(b[len(magic):])
	return ok && string(cipher) != "none"
}
