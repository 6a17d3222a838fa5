package wire

import (
	"bytes"
	"fmt"
	"time"

	"catenary/internal/seal"
)

// A datagramVector is a registration key, and perhaps a request that is sealed
// with it and what answers that.
type datagramVector struct {
	request *Register
	reply   Message
	come    time.Duration // of the notice that answers instead of reply
}

var (
	vectorSecret  = seal.KeySecret(bytes.Repeat([]byte{3}, 32))
	vectorAddress = placeA.Addr.Addr().As16()
	vectorName    = seal.NewKeyName(vectorSecret, placeA.ID, vectorAddress, issued, [8]byte{4, 4, 4, 4, 4, 4, 4, 4})
	vectorKey     = seal.DeriveKey(vectorSecret, placeA.ID, vectorName)
	vectorUp      = vectorKey.Box(seal.RegistrationRequest)
	vectorDown    = vectorKey.Box(seal.RegistrationReply)
	chanceUp      = [16]byte(bytes.Repeat([]byte{5}, 16))
	chanceDown    = [16]byte(bytes.Repeat([]byte{6}, 16))
)

const boxKeys = 16 + 32 // of the sealing, and of the nonces

func datagramVectors() []vector {
	brief := Register{Version: 1, Incarnation: 7, Sequence: 3, Peers: 0x1122334455667788, Known: []uint64{4710, 4711}, State: 0x8877665544332211}
	whole := Register{Version: 1, Incarnation: 7, Sequence: 4, Place: placeA, Name: "ws-7", Program: "0.1.0", Platform: "Linux",
		Slot: 12, HasSlot: true, Peers: 0x1122334455667788, State: 0x8877665544332211}
	same := Registered{Same: true, Highest: 4711, Now: issued}
	return []vector{
		{name: "registration key", says: `the key that the server gives client 000102030405060708090a0b0c0d0e0f at 10.1.2.3,
			1800000000 s after 1970-01-01 UTC, with the chance 0404040404040404; up and down: the keys of the sealing (16 bytes)
			and of the nonces (32) for requests and for replies`,
			datagram: &datagramVector{}},
		{name: "datagram request", says: `the Register of "frame register brief", sealed with that key and the chance 05 …`,
			datagram: &datagramVector{request: &brief}},
		{name: "datagram request padded", says: `a Register with everything said (version 1, incarnation 7, sequence 4, all else as in "frame
			register normal" and the state of "frame register brief", but nobody on either side, no known questions and no renewal
			key), padded to 400 bytes`,
			datagram: &datagramVector{request: &whole}},
		{name: "datagram reply", says: `the Registered of "frame registered same" in reply to "datagram request", with the chance 06 …`,
			datagram: &datagramVector{request: &brief, reply: same}},
		{name: "datagram notice", says: `come over TLS in 70001 ms: in reply to "datagram request"`,
			datagram: &datagramVector{request: &brief, come: 70_001 * time.Millisecond}},
	}
}

func (v datagramVector) parts() []part {
	if v.request == nil {
		return []part{
			{"secret", vectorSecret[:]}, {"keyname", vectorName[:]}, {"key", vectorKey[:]},
			{"up", vectorKey.Derive(seal.RegistrationRequest, boxKeys)}, {"down", vectorKey.Derive(seal.RegistrationReply, boxKeys)},
		}
	}
	r := NewRequest(vectorUp, chanceUp, placeA.ID, KeyName(vectorName), *v.request)
	switch {
	case v.reply != nil:
		return []part{{"bytes", r.Reply(nil, vectorDown, chanceDown, v.reply)}}
	case v.come > 0:
		return []part{{"bytes", r.Notice(nil, v.come)}}
	}
	return []part{{"bytes", r.Bytes()}}
}

// readDatagram opens an entry as the other side would.
func readDatagram(v *datagramVector, parts map[string][]byte) error {
	if v.request == nil {
		name := seal.KeyName(parts["keyname"])
		secret := seal.KeySecret(parts["secret"])
		if k := seal.DeriveKey(secret, placeA.ID, name); !bytes.Equal(k[:], parts["key"]) || !name.Proves(secret, placeA.ID, vectorAddress) {
			return fmt.Errorf("key %x", k)
		}
		return nil
	}
	r := NewRequest(vectorUp, chanceUp, placeA.ID, KeyName(vectorName), *v.request)
	var want, got Message = v.reply, nil
	var err error
	switch {
	case v.reply != nil:
		got, err = r.ReadReply(vectorDown, parts["bytes"])
	case v.come > 0:
		if come, ok := r.ReadNotice(parts["bytes"]); !ok || come != v.come {
			return fmt.Errorf("come in %v, %v", come, ok)
		}
		return nil
	default:
		if r, err = ParseRequest(parts["bytes"]); err == nil {
			got, err = r.Open(vectorUp)
		}
		want = *v.request
	}
	if d := diff(want, got); err == nil && d != "" {
		err = fmt.Errorf("opens as something else (-want +got):\n%s", d)
	}
	return err
}
