package api

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

const (
	license    = "license"
	licenseMax = 256 << 10 // bytes of a licence: some thousand times those that are known
)

type licenseObject struct {
	LicenseFile      string           `json:"license_file"`
	LicensedFeatures []licenseFeature `json:"licensed_features"`
	Text             string           `json:"text"`
}

type licenseFeature struct {
	Name  string `json:"name"`
	Seats int    `json:"seats"`
}

// license is the file that was given last. Nothing depends on it.
func (s *server) license(context.Context, call) (licenseObject, error) {
	o := licenseObject{LicensedFeatures: []licenseFeature{}, Text: "No licence is needed."}
	for _, r := range s.shelves.All(license) {
		o.LicenseFile = r.Object.Text("license_file")
	}
	return o, nil
}

// A licenseRequest is a licence file, as a text.
type licenseRequest struct {
	LicenseFile string `json:"license_file"`
}

// keepLicense keeps a licence file in the place of the one before, for programs
// that want to find there what they have put.
func (s *server) keepLicense(ctx context.Context, c call, in licenseRequest) (licenseObject, error) {
	text := in.LicenseFile
	if strings.TrimSpace(text) == "" || len(text) > licenseMax || strings.ContainsFunc(text, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) && !strings.ContainsRune("\r\n\t", r)
	}) {
		return licenseObject{}, fault.New(fault.Invalid, "LicenseFileInvalid: license_file is to be a text of 1 to %d bytes", licenseMax)
	}
	err := s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		o := object.New(object.ShapeOf(license))
		o.Set("license_file", text)
		if all := ch.All(license); len(all) > 0 {
			_, err := ch.Update(all[0], o)
			return err
		}
		_, err := ch.Create(license, 0, o)
		return err
	})
	if err != nil {
		return licenseObject{}, err
	}
	return s.license(ctx, c)
}
