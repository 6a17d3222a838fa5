package probe

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// samplePlist was written by Python's plistlib from a dictionary with texts in
// ASCII and beyond, a number, a list and an inner dictionary.
const samplePlist = "62706c6973743030d60102030405060708090a0c0e5c434642756e646c654e616d655f101a434642756e646c6553686f7274566572" +
	"73696f6e537472696e675f100f434642756e646c6556657273696f6e55696e6e6572546c697374516e680047007200fc00df00650020d83d" +
	"de005431372e345f10173230417878787878787878787878787878787878787878d1030b526e6fa10d516110050815223f51575c5e6f748e9194" +
	"96980000000000000101000000000000000f0000000000000000000000000000009a"

func sample(t interface{ Fatal(...any) }) []byte {
	b, err := hex.DecodeString(samplePlist)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPlistTexts(t *testing.T) {
	want := map[string]string{
		"CFBundleName": "Grüße 😀", "CFBundleShortVersionString": "17.4", "CFBundleVersion": "20A" + strings.Repeat("x", 20),
	}
	if got := plistTexts(sample(t)); !reflect.DeepEqual(got, want) {
		t.Errorf("binary: %q, want %q", got, want)
	}
	const text = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
	<key>CFBundleName</key> <string>Gr&#252;&#223;e 😀</string>
	<key>list</key> <array><string>a</string></array>
	<key>n</key> <integer>5</integer>
	<key>inner</key> <dict><key>CFBundleVersion</key><string>no</string></dict>
	<key>CFBundleShortVersionString</key> <string>17.4</string>
	<key>CFBundleVersion</key> <string>20Axxxxxxxxxxxxxxxxxxxx</string>
</dict></plist>`
	if got := plistTexts([]byte(text)); !reflect.DeepEqual(got, want) {
		t.Errorf("XML: %q, want %q", got, want)
	}
}

func FuzzPlistTexts(f *testing.F) {
	f.Add(sample(f))
	f.Add([]byte("<plist><dict><key>a</key><string>b</string></dict></plist>"))
	f.Add([]byte("<plist><dict><key>a<key>b</key></key><string>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		for key, text := range plistTexts(b) {
			total += len(key) + len(text)
		}
		if total > (len(b)+1)*plistDictMax {
			t.Fatalf("%d bytes of texts from %d", total, len(b))
		}
	})
}
