package api

import (
	"context"
	"strconv"
	"strings"

	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/server/signin"
)

const (
	connectorKind = "ldap_sync_connector"
	ldapPrefix    = "ldap:" // of the source of users and groups that come from a connector
)

// toDirectory is what a connector describes.
func toDirectory(o *object.Object) signin.Directory {
	d := signin.Directory{
		Host: o.Text("host"), Port: int(o.Int("port")), Authorities: o.Text("certificate"),
		BindDN: o.Text("ldap_user"), BindPassword: o.Text("ldap_password"),
		People: signin.Branch{
			Base: o.Text("users_base"), Filter: o.Text("users_filter"),
			ID: o.Text("user_id"), Name: o.Text("user_name"), Links: o.Text("user_member_of"),
		},
		Groups: signin.Branch{
			Base: o.Text("groups_base"), Filter: o.Text("groups_filter"),
			ID: o.Text("group_id"), Name: o.Text("group_name"), Links: o.Text("group_member"),
		},
	}
	switch {
	case o.Is("secure"):
		d.Security = signin.LDAPS
	case o.Is("start_tls"):
		d.Security = signin.StartTLS
	default:
		d.Security = signin.Plain
	}
	return d
}

// source is how users and groups that come from a connector name it.
func ldapSource(connector int64) string { return ldapPrefix + strconv.FormatInt(connector, 10) }

// directoryOf returns the connector from which a user comes; nil if from none.
func (s *server) directoryOf(user *shelf.Record) *shelf.Record {
	if user == nil {
		return nil
	}
	number, ok := strings.CutPrefix(user.Object.Text("identity_source"), ldapPrefix)
	if !ok {
		return nil
	}
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil // not a connector's number: we write no others
	}
	return s.shelves.ByID(connectorKind, id)
}

// checkInDirectory asks a directory whether the password is the user's, who must
// still be the person that he was when he was taken over.
func (s *server) checkInDirectory(ctx context.Context, connector, user *shelf.Record, password string) (bool, error) {
	if !connector.Object.Is("enable") {
		return false, nil
	}
	leave, err := s.goOutside()
	if err != nil {
		return false, err
	}
	defer leave()
	p, ok, err := toDirectory(connector.Object).Authenticate(ctx, user.Name, password)
	if err != nil {
		return false, err
	}
	return ok && !p.Disabled && p.ID == user.Object.Text("identity_subject"), nil
}
