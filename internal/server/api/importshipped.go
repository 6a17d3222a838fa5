package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"catenary/internal/content"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

// runShipped applies the content that comes with Catenary, when this version of
// it has not been applied yet. What was changed here since stays as it is.
func (s *server) runShipped(ctx context.Context) error {
	folder, err := content.Read(content.Shipped())
	if err != nil {
		return err
	}
	if r := s.shelves.ByName("content_source", folder.Name); r != nil && r.Object.Text("version") == folder.Version {
		return nil
	}
	in := requestOf(folder)
	in.Content.KeepEdits, in.Content.Prune = true, true
	list, err := json.Marshal(in.ObjectList)
	if err != nil {
		return err
	}
	in.Signature = base64.StdEncoding.EncodeToString(s.sealer.SignContent(list))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/api/v2/import", nil)
	if err != nil {
		return err
	}
	c := call{Request: r, user: store.User{Name: "Catenary"}, rights: rights.Rights{Anything: true}}
	overwrite := number(conflictOverwrite)
	out, err := s.runImport(ctx, c, in, importOptions{Default: &overwrite})
	if err != nil {
		// The installation works without it, and may have removed what it needs.
		s.log.ErrorContext(ctx, "shipped content not applied", "err", err)
		return nil
	}
	counts := map[string]int{}
	for _, d := range out.Deeds {
		counts[d.Deed]++
	}
	s.log.InfoContext(ctx, "shipped content applied", "version", folder.Version, "created", counts[deedCreate], "changed", counts[deedChange], "kept", counts[deedKeep])
	return nil
}

// requestOf makes of a folder what import takes.
func requestOf(f content.Folder) importRequest {
	in := importRequest{
		Version: importVersion, ObjectList: map[string][]json.RawMessage{},
		Content: &contentRequest{Name: f.Name, Version: f.Version, Description: f.Description},
	}
	for _, o := range f.Objects {
		in.ObjectList[o.Type.Plural] = append(in.ObjectList[o.Type.Plural], o.Body)
	}
	return in
}
