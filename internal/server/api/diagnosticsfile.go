package api

import (
	"context"
	"net/http"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/diagnosis"
	"catenary/internal/server/rights"
	"catenary/internal/server/setting"
)

const (
	// diagnosisLook is how often it is looked whether a report is due: periods are
	// said in minutes. The first is not made sooner than this after the start, when
	// the clients are on their way back.
	diagnosisLook = time.Minute
	// diagnosisAgain is how long after one that could not be written the next is
	// tried: a full disk is not pestered, nor the log.
	diagnosisAgain = time.Hour
)

func (s *server) diagnosisRoutes() []route {
	const path = "/api/v2/server_diagnostics"
	return []route{
		{"GET", path, withSession, rights.ReadServerStatus, get(s.listReports)},
		{"POST", path, withSession, rights.ReadServerStatus, get(s.makeReport)},
		{"GET", path + "/{name}", withSession, rights.ReadServerStatus, handler(s.sendReport)},
	}
}

// A reportObject is a report that is kept. It is Catenary's own.
type reportObject struct {
	Name string  `json:"name"`
	Size int64   `json:"size"` // bytes
	Made isoTime `json:"made_time"`
}

func toReport(r diagnosis.Report) reportObject {
	return reportObject{r.Name, r.Size, isoTime(r.Made)}
}

// folder is where reports are kept.
func (s *server) folder() (*diagnosis.Folder, error) {
	if s.reports == nil {
		return nil, fault.New(fault.Unavailable, "this server has no folder for diagnostics")
	}
	return s.reports, nil
}

func (s *server) listReports(context.Context, call) ([]reportObject, error) {
	f, err := s.folder()
	if err != nil {
		return nil, err
	}
	list, err := f.List()
	out := []reportObject{}
	for _, r := range list {
		out = append(out, toReport(r))
	}
	return out, err
}

// A report is what stands in a file.
type report struct {
	Made isoTime `json:"made_time"`
	diagnostics
}

// makeReport makes a report now, in the place of the oldest.
func (s *server) makeReport(ctx context.Context, _ call) (reportObject, error) {
	r, err := s.report(ctx, time.Now())
	return toReport(r), err
}

func (s *server) report(ctx context.Context, now time.Time) (diagnosis.Report, error) {
	f, err := s.folder()
	if err != nil {
		return diagnosis.Report{}, err
	}
	d, err := s.diagnose(ctx, now)
	if err != nil {
		return diagnosis.Report{}, err
	}
	content, err := marshal(report{isoTime(now), d})
	if err != nil {
		return diagnosis.Report{}, err
	}
	return f.Keep(now, content, int(s.settingNumber(setting.DiagnosticsKept)))
}

// sendReport answers with a report as it lies in the folder.
func (s *server) sendReport(w http.ResponseWriter, c call) error {
	f, err := s.folder()
	if err != nil {
		return err
	}
	content, err := f.Read(c.PathValue("name"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="`+c.PathValue("name")+`"`)
	beginJSON(w, http.StatusOK)
	return send(w, content)
}

// runDiagnosis makes a report whenever one is due, until ctx ends.
func (s *server) runDiagnosis(ctx context.Context) error {
	if s.reports == nil {
		return nil
	}
	tick := time.NewTicker(diagnosisLook)
	defer tick.Stop()
	var failed time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := time.Now()
		if !failed.IsZero() && now.Sub(failed) < diagnosisAgain {
			continue
		}
		due, err := s.reportDue(now)
		if err == nil && due {
			_, err = s.report(ctx, now)
		}
		failed = time.Time{}
		if err != nil && ctx.Err() == nil {
			failed = now
			s.log.ErrorContext(ctx, "diagnostics not exported", "err", err)
		}
	}
}

// reportDue reports whether the last one is as old as the setting says, or from a
// time that is yet to come: the clock was set back.
func (s *server) reportDue(now time.Time) (bool, error) {
	every := time.Duration(s.settingNumber(setting.DiagnosticsEvery)) * time.Minute
	if every == 0 {
		return false, nil
	}
	list, err := s.reports.List()
	if err != nil || len(list) == 0 {
		return err == nil, err
	}
	last := list[0].Made
	return now.Sub(last) >= every || last.After(now), nil
}
