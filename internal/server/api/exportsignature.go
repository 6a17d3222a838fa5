package api

import (
	"context"
	"encoding/base64"
	"strconv"

	"catenary/internal/fault"
	"catenary/internal/filter"
	"catenary/internal/server/rights"
)

// signaturesMax bounds the signatures of one request.
const signaturesMax = 1000

func (s *server) signatureRoutes() []route {
	return []route{
		{"POST", "/api/v2/verify_signatures", withSession, rights.ImportContent, post(importMax, s.verifySignatures)},
	}
}

// A signatureObject is content whose signature is to be looked at.
type signatureObject struct {
	Bytes    string      `json:"bytes"` // base64: content as import takes it, with its signature
	ID       number      `json:"id"`
	Type     string      `json:"type"`
	Verified filter.Text `json:"verified"`
}

type signatureRequest struct {
	Data []signatureObject `json:"data"`
}

type signatureAnswer struct {
	Signatures []signatureObject `json:"verify_signatures"`
}

// verifySignatures says which contents were signed by this installation and not
// changed since.
func (s *server) verifySignatures(_ context.Context, _ call, in signatureRequest) (bare, error) {
	if len(in.Data) > signaturesMax {
		return bare{}, fault.New(fault.Invalid, "more than %d signatures", signaturesMax)
	}
	out := signatureAnswer{Signatures: []signatureObject{}}
	for i, o := range in.Data {
		body, err := base64.StdEncoding.DecodeString(o.Bytes)
		if err != nil {
			return bare{}, fault.New(fault.Invalid, "data[%d].bytes: not base64: %w", i, err)
		}
		var content struct {
			Signature string `json:"signature"`
		}
		ok := decode(body, &content) == nil && content.Signature != "" && s.verify(body, content.Signature) == nil
		o.Verified, o.Bytes = filter.Text(strconv.FormatBool(ok)), ""
		out.Signatures = append(out.Signatures, o)
	}
	return bare{out}, nil
}
