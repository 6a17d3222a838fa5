package api

import (
	"context"
	"strconv"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/resultset"
	"catenary/internal/server/rights"
)

// mergedMax bounds the questions whose answers are joined: each holds its rows
// meanwhile.
const mergedMax = 8

// mergedResultData joins the answers to several questions on the machines that
// have given them. The path is pairs of what (question or saved_question) and its
// number.
func (s *server) mergedResultData(ctx context.Context, c call) (resultSets, error) {
	o, err := c.resultOptions()
	if err != nil {
		return resultSets{}, err
	}
	if o.CacheID != 0 || o.Expiration != 0 {
		return resultSets{}, fault.New(fault.Invalid, "merged answers are kept in no cache: leave out cache_id and cache_expiration")
	}
	readings, err := s.mergedReadings(ctx, c, o)
	if err != nil {
		return resultSets{}, err
	}
	var sets []*resultset.Set
	out := resultSets{Now: readings[0].now.UTC().Format(nowFormat)}
	for _, r := range readings {
		if !r.plan.ComputerID {
			return resultSets{}, fault.New(fault.Invalid, "ExpectedMergedResultData: question %d was not asked with force_computer_id_flag, so that nobody knows which machine has said what", r.result.Question)
		}
		r.record.ComputerID = true
		set, err := s.setOf(ctx, r)
		if err != nil {
			return resultSets{}, err
		}
		sets = append(sets, set)
		info, err := s.infoOf(ctx, r)
		if err != nil {
			return resultSets{}, err
		}
		out.ResultInfos = append(out.ResultInfos, info)
	}
	joined, err := resultset.Join(sets)
	if err != nil {
		return resultSets{}, err
	}
	first := merged(readings)
	whole, err := s.page(ctx, c, o, first, joined, nil)
	out.ResultSets, out.ExportID = whole.ResultSets, whole.ExportID
	return out, err
}

// merged is what can be said of several answers in one: as far as the one that
// has come least far.
func merged(readings []reading) reading {
	all := readings[0]
	for _, r := range readings[1:] {
		p := &all.result.Progress
		if r.result.Answered < p.Answered {
			p.Answered, p.Outside = r.result.Answered, r.result.Outside
		}
		p.Expected, p.Passed, p.Pending = max(p.Expected, r.result.Expected), max(p.Passed, r.result.Passed), max(p.Pending, r.result.Pending)
		p.Errors, p.NoResults, p.Stopped = p.Errors+r.result.Errors, p.NoResults+r.result.NoResults, p.Stopped+r.result.Stopped
		p.Reports += r.result.Reports
		if r.result.Expires.Before(p.Expires) {
			p.Expires = r.result.Expires
		}
		all.plan.Selects = append(all.plan.Selects[:len(all.plan.Selects):len(all.plan.Selects)], r.plan.Selects...)
	}
	all.result.Pending = 0 // no row stands for them
	return all
}

func (s *server) mergedReadings(ctx context.Context, c call, o resultOptions) ([]reading, error) {
	parts := strings.Split(c.PathValue("objects"), "/")
	if len(parts) < 4 || len(parts)%2 != 0 || len(parts)/2 > mergedMax {
		return nil, fault.New(fault.Invalid, "ExpectedMergedResultData: the path names 2 to %d questions, as in merged_result_data/question/1/saved_question/2", mergedMax)
	}
	var out []reading
	for i := 0; i < len(parts); i += 2 {
		id, err := strconv.ParseUint(parts[i+1], 10, 63)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%q is not the number of a question", shorten(parts[i+1]))
		}
		var r reading
		switch parts[i] {
		case "question":
			if !c.rights.MayAnywhere(rights.AskDynamicQuestion) {
				return nil, insufficient(rights.AskDynamicQuestion)
			}
			if r, err = s.reading(ctx, c, id); err == nil {
				err = allowHistory(c, r.record)
			}
			if err == nil {
				err = o.within(r.record)
			}
		case "saved_question":
			r, err = s.savedReading(ctx, c, o, int64(id))
		default:
			err = fault.New(fault.Invalid, "%q is neither question nor saved_question", shorten(parts[i]))
		}
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
