package expr

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"catenary/internal/value"
)

// pattern returns whether a whole text matches the regular expression source.
//
// Most patterns are "contains", "starts with" or "ends with" in disguise: .* on
// a side is taken off and leaves that side open, and if a mere text remains, no
// automaton is needed.
func (b *builder) pattern(source string, ignoreCase bool) (func(text string) bool, error) {
	tree, err := b.tree(source, ignoreCase)
	if err != nil {
		return nil, err
	}
	openLeft, openRight, middle := open(tree)
	if text, fold, ok := literal(middle); ok {
		return substring(text, fold, openLeft, openRight), nil
	}
	// The tree is spelled again since the source may end in an open \Q, which
	// would take the brackets for text.
	anchored := "(?:" + middle.String() + ")"
	if !openLeft {
		anchored = `\A` + anchored
	}
	if !openRight {
		anchored += `\z`
	}
	re, err := regexp.Compile(anchored)
	if err != nil {
		return nil, fmt.Errorf("%q is no regular expression: %w", source, err)
	}
	return re.MatchString, nil
}

// tree reads a pattern and counts its size, which is cheap beside building its
// automaton.
func (b *builder) tree(source string, ignoreCase bool) (*syntax.Regexp, error) {
	flags := syntax.Perl | syntax.DotNL
	if ignoreCase {
		flags |= syntax.FoldCase
	}
	tree, err := syntax.Parse(source, flags)
	if err != nil {
		return nil, fmt.Errorf("%q is no regular expression: %w", source, err)
	}
	if b.states += states(tree); b.states > StatesMax {
		return nil, fmt.Errorf("the regular expressions, with %q, are too large together", source)
	}
	return tree, nil
}

// states estimates the size of tree's automaton before it is built, so that
// x{1000} many times over is refused at no cost.
func states(tree *syntax.Regexp) int {
	n := len(tree.Rune)
	for _, sub := range tree.Sub {
		n = min(n+states(sub), StatesMax)
	}
	if tree.Op == syntax.OpRepeat {
		n *= max(tree.Min, tree.Max, 1)
	}
	return 1 + min(n, StatesMax)
}

// open takes .* off both ends of a concatenation.
func open(tree *syntax.Regexp) (left, right bool, middle *syntax.Regexp) {
	if anything(tree) {
		return true, true, &syntax.Regexp{Op: syntax.OpEmptyMatch}
	}
	if tree.Op != syntax.OpConcat {
		return false, false, tree
	}
	subs := tree.Sub
	if len(subs) > 1 && anything(subs[0]) {
		left, subs = true, subs[1:]
	}
	if len(subs) > 1 && anything(subs[len(subs)-1]) {
		right, subs = true, subs[:len(subs)-1]
	}
	if len(subs) == 1 {
		return left, right, subs[0]
	}
	rest := *tree
	rest.Sub = subs
	return left, right, &rest
}

func anything(tree *syntax.Regexp) bool {
	return tree.Op == syntax.OpStar && tree.Sub[0].Op == syntax.OpAnyChar
}

func literal(tree *syntax.Regexp) (text string, fold, ok bool) {
	switch tree.Op {
	case syntax.OpEmptyMatch:
		return "", false, true
	case syntax.OpLiteral:
		return string(tree.Rune), tree.Flags&syntax.FoldCase != 0, true
	}
	return "", false, false
}

// substring returns whether a text has sought in it, at the ends that are not
// open.
func substring(sought string, fold, openLeft, openRight bool) func(text string) bool {
	within := func(text, sought string) bool { return text == sought }
	switch {
	case openLeft && openRight:
		within = strings.Contains
	case openLeft:
		within = strings.HasSuffix
	case openRight:
		within = strings.HasPrefix
	}
	if !fold {
		return func(text string) bool { return within(text, sought) }
	}
	sought = value.Fold(sought)
	return func(text string) bool { return within(value.Fold(text), sought) }
}
