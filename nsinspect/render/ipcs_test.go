package render

import (
	"testing"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

func ipcsData() IPCSData {
	return IPCSData{
		Shm: []report.Shm{
			{ID: 0, Key: 0x0052e2c1, Mode: 0o600, Size: 56, CPID: 4000, LPID: 4321, NAttch: 6, UID: 101, GID: 104, CUID: 101, CGID: 104, ATime: 1720000000, CTime: 1719999999, RSS: 4096},
			{ID: 32769, Mode: 0o3666, Size: 10485759, CPID: 7, NAttch: 1, UID: 70000, GID: 70000, CUID: 0, CGID: 0, DTime: 1720000001, CTime: 1720000002, RSS: 8192, Swap: 4096},
		},
		Sem: []report.Sem{{ID: 3, Key: 0xdeadbeef, Mode: 0o640, NSems: 17, UID: 101, GID: 104, CTime: 1720000000}},
		Msg: []report.Msg{{ID: 4, Key: 1, Mode: 0o622, CBytes: 1536, QNum: 2, LSPID: 12, LRPID: 13, UID: 1003, GID: 0, STime: 1720000000}},
		Limits: report.IPCLimits{ShmMNI: 4096, ShmMax: 1<<64 - 1<<24, ShmAll: 1<<64 - 1<<24, SemMSL: 32000, SemMNS: 1024000000, SemOPM: 500, SemMNI: 32000,
			MsgMNI: 32000, MsgMax: 8192, MsgMNB: 16384},
		PageSize: 4096,
	}
}

func ipcsLocale() IPCSLocale {
	return IPCSLocale{
		Users:  map[uint32]string{0: "root", 101: "postgres", 1003: "a-very-long-name"},
		Groups: map[uint32]string{0: "root", 104: "a-very-long-group"},
		Zone:   time.FixedZone("", 2*3600),
	}
}

// The exact comparison with util-linux is TestIPCSParity; this one runs where
// that cannot.
func TestIPCS(t *testing.T) {
	for _, tt := range []struct {
		name string
		view IPCSView
		want string
	}{
		{"the default", IPCSView{}, `
------ Message Queues --------
key        msqid      owner      perms      used-bytes   messages    
0x00000001 4          a-very-lon 622        1536         2           

------ Shared Memory Segments --------
key        shmid      owner      perms      bytes      nattch     status      
0x0052e2c1 0          postgres   600        56         6                       
0x00000000 32769      70000      666        10485759   1          dest   locked

------ Semaphore Arrays --------
key        semid      owner      perms      nsems     
0xdeadbeef 3          postgres   640        17        

`},
		{"-m -c", IPCSView{Shm: true, Format: IPCSCreators}, `
------ Shared Memory Segment Creators/Owners --------
shmid      perms      cuid       cgid       uid        gid       
0          600        postgres   a-very-long-group postgres   a-very-long-group
32769      666        root       root       70000      70000     

`},
		{"-m -q -t", IPCSView{Shm: true, Msg: true, Format: IPCSTimes}, `
------ Message Queues Send/Recv/Change Times --------
msqid    owner      send                 recv                 change              
4        a-very-lon Jul  3 11:46:40      Not set              Not set             

------ Shared Memory Attach/Detach/Change Times --------
shmid      owner      attached             detached             changed             
0          postgres   Jul  3 11:46:40      Not set              Jul  3 11:46:39     
32769      70000      Not set              Jul  3 11:46:41      Jul  3 11:46:42     

`},
		{"-p: a set has no PIDs, and not even a title", IPCSView{Format: IPCSPIDs}, `
------ Message Queues PIDs --------
msqid      owner      lspid      lrpid     
4        a-very-lon     12        13

------ Shared Memory Creator/Last-op PIDs --------
shmid      owner      cpid       lpid      
0          postgres   4000       4321      
32769      70000      7          0         


`},
		{"-u --human", IPCSView{Format: IPCSSummary, Unit: IPCSHuman}, "\n------ Messages Status --------\nallocated queues = 1\nused headers = 2\nused space = 1.5K\n\n" +
			"------ Shared Memory Status --------\nsegments allocated 2\npages allocated 2561\npages resident  3\npages swapped   1\nSwap performance: 0 attempts\t 0 successes\n\n" +
			"------ Semaphore Status --------\nused arrays = 1\nallocated semaphores = 17\n\n"},
		{"-l -m", IPCSView{Shm: true, Format: IPCSLimits}, `
------ Shared Memory Limits --------
max number of segments = 4096
max seg size (kbytes) = 18014398509465600
max total shared memory (kbytes) = 18446744073709551612
min seg size (bytes) = 1

`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(IPCS(tt.view, ipcsData(), ipcsLocale())); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestIPCSDetails(t *testing.T) {
	d, l := ipcsData(), ipcsLocale()
	for _, tt := range []struct{ name, got, want string }{
		{"-m -i", string(IPCSShm(d.Shm[1], IPCSDefault, l)), "\nShared memory Segment shmid=32769\nuid=70000\tgid=70000\tcuid=0\tcgid=0\nmode=03666\taccess_perms=0666\n" +
			"bytes=10485759\tlpid=0\tcpid=7\tnattch=1\natt_time=Not set                   \ndet_time=Wed Jul  3 11:46:41 2024  \nchange_time=Wed Jul  3 11:46:42 2024  \n\n"},
		{"-q -i --human", string(IPCSMsg(d.Msg[0], 16384, IPCSHuman, l)), "\nMessage Queue msqid=4\nuid=1003\tgid=0\tcuid=0\tcgid=0\tmode=0622\n" +
			"csize=1.5K\tqsize=16K\tqnum=2\tlspid=12\tlrpid=13\nsend_time=Wed Jul  3 11:46:40 2024  \nrcv_time=Not set                   \nchange_time=Not set                   \n\n"},
		{"-s -i", string(IPCSSem(d.Sem[0], []report.Semaphore{{Value: 5}, {NCount: 1, ZCount: 2, PID: 3}}, l)), "\nSemaphore Array semid=3\nuid=101\t gid=104\t cuid=0\t cgid=0\nmode=0640, access_perms=0640\n" +
			"nsems = 17\notime = Not set                   \nctime = Wed Jul  3 11:46:40 2024  \nsemnum     value      ncount     zcount     pid       \n" +
			"0          5          0          0          0         \n1          0          1          2          3         \n\n"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, tt.got, tt.want)
		}
	}
}

func TestIPCSOfImpossibleTimes(t *testing.T) {
	for _, at := range []int64{1 << 62, -1 << 62, 1<<63 - 1, -1 << 63} {
		d := IPCSData{Sem: []report.Sem{{OTime: at, CTime: at}}, Shm: []report.Shm{{ATime: at}}}
		if got := IPCS(IPCSView{Format: IPCSTimes}, d, IPCSLocale{}); len(got) == 0 {
			t.Error("nothing")
		}
	}
}
