package signin

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"catenary/internal/fault"
)

// CeremonyLife is how long somebody may take to find his key.
const CeremonyLife = 5 * time.Minute

// Passkeys are the ceremonies of WebAuthn for one site.
type Passkeys struct{ site *webauthn.WebAuthn }

// A Holder is somebody with his passkeys, each in the form that FinishNew or
// FinishLogin has returned.
type Holder struct {
	ID                int64
	Name, DisplayName string
	Keys              [][]byte
}

// NewPasskeys returns the ceremonies for the site at a URL.
func NewPasskeys(site string) (*Passkeys, error) {
	u, err := url.Parse(site)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return nil, fault.New(fault.Invalid, "%q is not the https: URL of a site", site)
	}
	life := webauthn.TimeoutConfig{Enforce: true, Timeout: CeremonyLife, TimeoutUVD: CeremonyLife}
	w, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "Catenary", RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			// The key names its holder, and he has shown it a finger or a PIN: two
			// factors in one, and no list of names is needed to begin.
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: life, Registration: life},
	})
	if err != nil {
		return nil, fault.New(fault.Invalid, "passkeys for %s: %w", site, err)
	}
	return &Passkeys{w}, nil
}

// holder is a Holder as the library wants it.
type holder struct {
	Holder
	keys []webauthn.Credential
}

func (h Holder) open() (holder, error) {
	out := holder{Holder: h, keys: make([]webauthn.Credential, len(h.Keys))}
	for i, k := range h.Keys {
		if err := json.Unmarshal(k, &out.keys[i]); err != nil {
			return holder{}, fmt.Errorf("passkey: %w", err)
		}
	}
	return out, nil
}

// handle is the number of a holder as authenticators keep it.
func handle(id int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }

func (h holder) WebAuthnID() []byte                         { return handle(h.ID) }
func (h holder) WebAuthnName() string                       { return h.Name }
func (h holder) WebAuthnDisplayName() string                { return h.DisplayName }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

// KeyName is what a passkey is found by: a hash of the ID that its
// authenticator has given it.
func KeyName(id []byte) [32]byte { return sha256.Sum256(id) }

// BeginNew returns what an authenticator needs to make a passkey, and what to
// remember until it has.
func (p *Passkeys) BeginNew(h Holder) (options any, pending []byte, err error) {
	user, err := h.open()
	if err != nil {
		return nil, nil, err
	}
	creation, data, err := p.site.BeginRegistration(user,
		webauthn.WithExclusions(webauthn.Credentials(user.keys).CredentialDescriptors()))
	if err != nil {
		return nil, nil, refused(err)
	}
	pending, err = json.Marshal(data)
	return creation.Response, pending, err
}

// FinishNew checks what the authenticator has made.
func (p *Passkeys) FinishNew(h Holder, pending, answer []byte) (key []byte, name [32]byte, err error) {
	user, data, err := ceremony(h, pending)
	if err != nil {
		return nil, name, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return nil, name, refused(err)
	}
	made, err := p.site.CreateCredential(user, data, parsed)
	if err != nil {
		return nil, name, refused(err)
	}
	key, err = json.Marshal(made)
	return key, KeyName(made.ID), err
}

func ceremony(h Holder, pending []byte) (holder, webauthn.SessionData, error) {
	var data webauthn.SessionData
	if err := json.Unmarshal(pending, &data); err != nil {
		return holder{}, data, fmt.Errorf("passkey ceremony: %w", err)
	}
	user, err := h.open()
	return user, data, err
}

// BeginLogin returns what an authenticator needs to show that it has a passkey,
// whosever, and what to remember until it has.
func (p *Passkeys) BeginLogin() (options any, pending []byte, err error) {
	assertion, data, err := p.site.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, nil, refused(err)
	}
	pending, err = json.Marshal(data)
	return assertion.Response, pending, err
}

// FinishLogin checks what the authenticator has shown. It returns whose passkey
// it is, and the passkey as it is to be kept from now on.
func (p *Passkeys) FinishLogin(pending, answer []byte, find func(user int64) (Holder, error)) (user int64, key []byte, name [32]byte, err error) {
	_, data, err := ceremony(Holder{}, pending)
	if err != nil {
		return 0, nil, name, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return 0, nil, name, refused(err)
	}
	var failed error // of find, which the library would wrap into a refusal
	found, used, err := p.site.ValidatePasskeyLogin(func(_, userHandle []byte) (webauthn.User, error) {
		if len(userHandle) != len(handle(0)) {
			return nil, errors.New("no handle of ours")
		}
		h, err := find(int64(binary.BigEndian.Uint64(userHandle)))
		if err != nil {
			failed = err
			return nil, err
		}
		return h.open()
	}, data, parsed)
	switch {
	case failed != nil && fault.KindOf(failed) != fault.NotFound:
		return 0, nil, name, failed
	case err != nil:
		return 0, nil, name, refused(err)
	case used.Authenticator.CloneWarning:
		return 0, nil, name, fault.New(fault.Denied, "the passkey has been used elsewhere since: it may have been copied, and is not taken")
	}
	key, err = json.Marshal(used)
	return found.(holder).ID, key, KeyName(used.ID), err
}

// refused is what the other side has done wrong, for its eyes.
func refused(err error) error {
	text := err.Error()
	if e, ok := errors.AsType[*protocol.Error](err); ok && e.Details != "" {
		text = e.Details
	}
	return fault.New(fault.Denied, "the passkey was refused: %s", text)
}
