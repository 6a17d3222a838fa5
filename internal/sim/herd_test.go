package sim

import "testing"

// TestHerd: machines that share a processor, and lose all their links at once, stand
// in order again soon, because they wait for whom they have reached. Without that
// they dial, and give up, for ever.
func TestHerd(t *testing.T) {
	seeds := Seeds{First: 1, Count: 10 / slowdown, Workers: workers}
	rep, err := seeds.Herds(t.Context(), Control{})
	if t.Log(rep); err != nil || rep.Standing != rep.Herds {
		t.Fatalf("%d of %d herds stand: %v", rep.Standing, rep.Herds, err)
	}
	one, errOne := RunHerd(1, Control{}, Options{})
	two, errTwo := RunHerd(1, Control{}, Options{})
	if one != two || one.Hash == 0 || errOne != nil || errTwo != nil {
		t.Errorf("herd 1 is %+v (%v), and then %+v (%v)", one, errOne, two, errTwo)
	}
	without, err := seeds.Herds(t.Context(), Control{NoReached: true})
	if t.Log(without); err != nil || without.Standing > 0 {
		t.Errorf("%d of %d herds stand that do not wait for whom they have reached: %v", without.Standing, without.Herds, err)
	}
}
