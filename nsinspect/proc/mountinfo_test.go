package proc

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestParseMountInfo(t *testing.T) {
	tests := []struct {
		story, text string
		want        []Mount
	}{
		{"nothing mounted", "", nil},
		{
			"a shared tmpfs", "25 24 0:23 / /dev/shm rw,relatime shared:5 master:1 - tmpfs tmpfs rw,size=24684092k\n",
			[]Mount{{25, 24, 0, 23, "/", "/dev/shm", "rw,relatime", []string{"shared:5", "master:1"}, "tmpfs", "tmpfs", "rw,size=24684092k"}},
		},
		{
			"a bind mount of a file with a space and a newline in its name", `36 35 98:0 /a\040b /mnt/c\012d\134 ro - ext4 /dev/sd\040a ro` + "\n",
			[]Mount{{36, 35, 98, 0, "/a b", "/mnt/c\nd\\", "ro", nil, "ext4", "/dev/sd a", "ro"}},
		},
		{
			"an empty source before Linux 5.1", "36 35 0:4 net:[4026532201] /run/netns/x rw - nsfs  rw\n",
			[]Mount{{36, 35, 0, 4, "net:[4026532201]", "/run/netns/x", "rw", nil, "nsfs", "", "rw"}},
		},
		{
			"a device of twice 32 bits", "2147483647 0 4294967295:4294967294 / / rw - ext4 x rw\n",
			[]Mount{{2147483647, 0, 4294967295, 4294967294, "/", "/", "rw", nil, "ext4", "x", "rw"}},
		},
		{
			"no newline at the end", "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
			[]Mount{{1, 0, 8, 1, "/", "/", "rw", nil, "ext4", "/dev/sda1", "rw"}},
		},
		{
			"not octal", `1 0 8:1 /a\9bc\08 / rw - ext4 x\777 rw` + "\n",
			[]Mount{{1, 0, 8, 1, `/a\9bc\08`, "/", "rw", nil, "ext4", `x\777`, "rw"}},
		},
	}
	for _, tt := range tests {
		if got, ok := parseMountInfo([]byte(tt.text)); !ok || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %t", tt.story, got, ok)
		}
	}
	for _, text := range []string{
		"\n", "1 0 8:1 / / rw ext4 x rw\n", "1 0 8:1 / / rw - ext4 x\n", "1 0 8 / / rw - ext4 x rw\n", "x 0 8:1 / / rw - ext4 x rw\n",
		"1 0 8:x / / rw - ext4 x rw\n", "1 0 8:4294967296 / / rw - ext4 x rw\n", "2147483648 0 8:1 / / rw - ext4 x rw\n", "1 0 8:1 / / rw - ext4 x rw more\n", "1 0 8:1 / / - ext4 x rw\n",
	} {
		if got, ok := parseMountInfo([]byte(text)); ok {
			t.Errorf("%q: got %+v and no complaint", text, got)
		}
	}
}

// FuzzParseMountInfo: what is taken is read again from what is printed of it in the way of the kernel's mangle().
func FuzzParseMountInfo(f *testing.F) {
	if own, err := os.ReadFile("/proc/self/mountinfo"); err == nil && len(own) < 8<<10 {
		f.Add(own)
	}
	for _, s := range []string{
		"25 24 0:23 / /dev/shm rw,relatime shared:5 - tmpfs tmpfs rw\n", `36 35 98:0 /a\040b /mnt/c\012d\134 ro - ext4 /dev/sd\040a ro`,
		"- - - - - - - - - -", "1 1 0:0    -   \n", `1 0 8:1 /a\9bc\08 / rw - ext4 x\777 rw`, "1 0 4294967295:4294967296 / / rw - a b c\n", "1 0 8:1 / / rw - - - -\n",
	} {
		f.Add([]byte(s))
	}
	mangle := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`, "#", `\043`)
	f.Fuzz(func(t *testing.T, text []byte) {
		mounts, ok := parseMountInfo(text)
		if !ok {
			if mounts != nil {
				t.Error("not the kernel's, and yet mounts")
			}
			return
		}
		if len(mounts)*len("1 1 0:0    -   ") > len(text)+len("\n") {
			t.Errorf("%d mounts from %d bytes", len(mounts), len(text))
		}
		var again strings.Builder
		for _, m := range mounts {
			fmt.Fprintf(&again, "%d %d %d:%d %s %s %s ", m.ID, m.Parent, m.Major, m.Minor, mangle.Replace(m.Root), mangle.Replace(m.Point), m.Options)
			for _, o := range m.Optional {
				again.WriteString(o + " ")
			}
			fmt.Fprintf(&again, "- %s %s %s\n", mangle.Replace(m.Type), mangle.Replace(m.Source), m.Super)
		}
		if got, ok := parseMountInfo([]byte(again.String())); !ok || !reflect.DeepEqual(got, mounts) {
			t.Errorf("%+v became %+v", mounts, got)
		}
	})
}
