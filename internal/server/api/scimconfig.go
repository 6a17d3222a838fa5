package api

import (
	"context"
	"net/http"
)

// What follows describes to identity providers what they can do here.

type scimSupport struct {
	Supported bool `json:"supported"`
}

type scimBulk struct {
	Supported bool `json:"supported"`
	Most      int  `json:"maxOperations"`
	Bytes     int  `json:"maxPayloadSize"`
}

type scimFiltering struct {
	Supported bool `json:"supported"`
	Most      int  `json:"maxResults"`
}

type scimScheme struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

type scimConfig struct {
	Schemas        []string      `json:"schemas"`
	Patch          scimSupport   `json:"patch"`
	Bulk           scimBulk      `json:"bulk"`
	Filter         scimFiltering `json:"filter"`
	ChangePassword scimSupport   `json:"changePassword"`
	Sort           scimSupport   `json:"sort"`
	ETag           scimSupport   `json:"etag"`
	Schemes        []scimScheme  `json:"authenticationSchemes"`
}

const scimCore = "urn:ietf:params:scim:schemas:core:2.0:"

func (s *server) scimConfig(context.Context, scimCall) (scimReply, error) {
	return scimReply{http.StatusOK, scimConfig{
		Schemas: []string{scimCore + "ServiceProviderConfig"}, Patch: scimSupport{true}, Filter: scimFiltering{true, scimPageMax},
		Schemes: []scimScheme{{"oauthbearertoken", "Bearer token", "The token of a SCIM server, which its creation shows once"}},
	}}, nil
}

type scimType struct {
	Schemas  []string `json:"schemas"`
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Endpoint string   `json:"endpoint"`
	Schema   string   `json:"schema"`
}

// all answers with a list that has one page.
func allOf[T any](list []T) (scimReply, error) {
	out := scimList{Schemas: []string{scimMessages + "ListResponse"}, Total: len(list), Start: 1, Count: len(list)}
	for _, e := range list {
		out.Resources = append(out.Resources, e)
	}
	return scimReply{http.StatusOK, out}, nil
}

func (s *server) scimTypes(context.Context, scimCall) (scimReply, error) {
	of := []string{scimCore + "ResourceType"}
	return allOf([]scimType{
		{of, "User", "User", "/Users", scimUserSchema},
		{of, "Group", "Group", "/Groups", scimGroupSchema},
	})
}

type scimAttribute struct {
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	Many       bool            `json:"multiValued"`
	Required   bool            `json:"required"`
	Exact      bool            `json:"caseExact"`
	Mutability string          `json:"mutability"`
	Returned   string          `json:"returned"`
	Uniqueness string          `json:"uniqueness"`
	Sub        []scimAttribute `json:"subAttributes,omitempty"`
}

type scimSchema struct {
	Schemas    []string        `json:"schemas"`
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Attributes []scimAttribute `json:"attributes"`
}

func (s *server) scimSchemas(context.Context, scimCall) (scimReply, error) {
	text := func(name string) scimAttribute {
		return scimAttribute{Name: name, Type: "string", Mutability: "readWrite", Returned: "default", Uniqueness: "none"}
	}
	unique := func(name string) scimAttribute {
		a := text(name)
		a.Required, a.Uniqueness = true, "server"
		return a
	}
	active := text("active")
	active.Type = "boolean"
	name := text("name")
	name.Type, name.Sub = "complex", []scimAttribute{text("formatted"), text("givenName"), text("familyName")}
	members := text("members")
	members.Type, members.Many, members.Sub = "complex", true, []scimAttribute{text("value"), text("display")}
	groups := members
	groups.Name, groups.Mutability = "groups", "readOnly"
	of := []string{scimCore + "Schema"}
	return allOf([]scimSchema{
		{of, scimUserSchema, "User", []scimAttribute{unique("userName"), text("displayName"), name, active, groups}},
		{of, scimGroupSchema, "Group", []scimAttribute{unique("displayName"), members}},
	})
}
