package signin

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"image/png"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

const (
	codePeriod  = 30 // seconds that a code is shown for; what every program knows
	codeDrift   = 1  // periods that the other clock may be before or behind
	secretBytes = 20 // of a shared secret: what RFC 4226 recommends
	pictureSize = 256

	recoveryCodes = 10 // given at once
	recoveryBytes = 10 // random bytes in each: as long as nobody guesses
)

// A CodeSource is the secret that a program makes one-time codes from, in the
// forms in which programs take it. All of them are shown once.
type CodeSource struct {
	Secret  string // base32
	URI     string // otpauth://…
	Picture string // of URI as a QR code: a data: URL of a PNG
}

// NewCodeSource makes a secret for somebody's program, which shows it under
// these names.
func NewCodeSource(issuer, account string) (CodeSource, error) {
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: issuer, AccountName: account, SecretSize: secretBytes, Period: codePeriod,
		Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1, // all that many programs can do
	})
	if err != nil {
		return CodeSource{}, err
	}
	img, err := key.Image(pictureSize, pictureSize)
	if err != nil {
		return CodeSource{}, err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return CodeSource{}, err
	}
	picture := "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
	return CodeSource{key.Secret(), key.URL(), picture}, nil
}

// MatchCode reports whether a code is right now, and of which period it is. Who
// remembers the period can refuse the code when it comes again.
func MatchCode(secret, code string, now time.Time) (period int64, ok bool) {
	code = strings.ReplaceAll(code, " ", "")
	at := now.Unix() / codePeriod
	for p := at - codeDrift; p <= at+codeDrift; p++ { // all of them, so that the time tells nothing
		want, err := hotp.GenerateCodeCustom(secret, uint64(p), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			period, ok = p, true
		}
	}
	return period, ok
}

var recoveryForm = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewRecoveryCodes makes codes for the day on which the program that makes
// one-time codes is lost.
func NewRecoveryCodes() []string {
	out := make([]string, recoveryCodes)
	for i := range out {
		b := make([]byte, recoveryBytes)
		_, _ = rand.Read(b) // it crashes the program rather than return an error
		s := strings.ToLower(recoveryForm.EncodeToString(b))
		out[i] = s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
	}
	return out
}

// PlainRecoveryCode is a recovery code in the one form of which a hash is kept,
// however somebody has typed it.
func PlainRecoveryCode(code string) string {
	return strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))
}
