package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
)

// historyMax bounds an exported history, in rows: the newest.
const historyMax = 10_000

func (s *server) historyRoutes() []route {
	return []route{{"GET", "/api/v2/export", withSession, rights.ReadQuestionHistory, handler(s.exportHistory)}}
}

// A history is a table of what has been.
type history struct {
	columns []string
	rows    [][]string
}

// exportHistory writes the questions that were asked, or the actions that there
// were, as CSV or JSON: ?input=question_history&mode=csv.
func (s *server) exportHistory(w http.ResponseWriter, c call) error {
	query := c.URL.Query()
	var h history
	var err error
	switch input := query.Get("input"); input {
	case "question_history":
		h, err = s.questionHistory(c.Context(), c)
	case "action_history":
		if p := rights.ReadAction; !c.rights.MayAnywhere(p) {
			return insufficient(p)
		}
		h = s.actionHistory(c)
	default:
		return fault.New(fault.Invalid, "input is %q, neither question_history nor action_history", shorten(input))
	}
	if err != nil {
		return err
	}
	if h, err = h.chosen(query.Get("columns"), query.Get("ids")); err != nil {
		return err
	}
	switch mode := query.Get("mode"); mode {
	case "csv":
		var b bytes.Buffer
		out := csv.NewWriter(&b)
		for _, row := range h.rows {
			for j := range row {
				row[j] = spreadsheet(row[j])
			}
		}
		if err := out.WriteAll(append([][]string{h.columns}, h.rows...)); err != nil {
			return err
		}
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		return send(w, b.Bytes())
	case "json", "":
		list := make([]map[string]string, len(h.rows))
		for i, row := range h.rows {
			list[i] = map[string]string{}
			for j, text := range row {
				list[i][h.columns[j]] = text
			}
		}
		return reply(w, list)
	default:
		return fault.New(fault.Invalid, "mode is %q, neither csv nor json", shorten(mode))
	}
}

// chosen are the columns and the rows that a program wants, by names and
// numbers with commas between; empty: all.
func (h history) chosen(columns, ids string) (history, error) {
	if ids != "" {
		wanted := map[string]bool{}
		for id := range strings.SplitSeq(ids, ",") {
			wanted[strings.TrimSpace(id)] = true
		}
		h.rows = slices.DeleteFunc(h.rows, func(row []string) bool { return !wanted[row[0]] })
	}
	if columns == "" {
		return h, nil
	}
	var places []int
	out := history{}
	for name := range strings.SplitSeq(columns, ",") {
		at := slices.Index(h.columns, strings.TrimSpace(name))
		if at < 0 || len(places) == len(h.columns) {
			return h, fault.New(fault.Invalid, "columns: %q is none of %s, or one too many", shorten(name), strings.Join(h.columns, ", "))
		}
		places, out.columns = append(places, at), append(out.columns, h.columns[at])
	}
	for _, row := range h.rows {
		var cut []string
		for _, at := range places {
			cut = append(cut, row[at])
		}
		out.rows = append(out.rows, cut)
	}
	return out, nil
}

func (s *server) questionHistory(ctx context.Context, c call) (history, error) {
	h := history{columns: []string{"id", "query_text", "user", "creation_time", "expiration"}}
	list, _, err := s.store.Questions(ctx, 0, historyMax)
	if err != nil {
		return h, err
	}
	users, err := s.userNames(ctx)
	if err != nil {
		return h, err
	}
	for _, q := range list {
		h.rows = append(h.rows, []string{
			strconv.FormatUint(q.ID, 10), q.Text, users[q.UserID], stamp(q.Issued), stamp(q.Expires),
		})
	}
	return h, nil
}

func (s *server) actionHistory(c call) history {
	h := history{columns: []string{"id", "name", "package", "target_group", "user", "start_time", "expiration_time", "status"}}
	all := s.visible(s.faceOf("actions"), c)
	if len(all) > historyMax {
		all = all[len(all)-historyMax:]
	}
	for _, r := range slices.Backward(all) {
		o := r.Object
		h.rows = append(h.rows, []string{
			strconv.FormatInt(r.ID, 10), o.Text("name"), o.Object("package_spec").Text("name"), o.Object("target_group").Text("name"),
			s.shelves.NameOf("user", o.Ref("user").ID), stamp(o.Time("start_time")), stamp(o.Time("expiration_time")), s.actionStatus(o, time.Now()),
		})
	}
	return h
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// spreadsheet keeps a text from being taken for a formula by who opens the file.
func spreadsheet(text string) string {
	if text != "" && bytes.IndexByte([]byte("=+-@\t\r"), text[0]) >= 0 {
		return "'" + text
	}
	return text
}
