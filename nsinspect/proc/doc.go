// Package proc reads what processes say of themselves in a procfs: one process
// is one open directory, and everything is read relative to it.
//
// There are two passes. [FS.Scan], the hot one, touches every process: three
// namespace links and the cgroup file. [FS.Visit], the cold one, reads much more
// of the few processes that matter.
//
// Why descriptors: the directory of a process that has been reaped answers ESRCH to
// everything (fs/proc/base.c, proc_pid_permission), even after its number has been
// given to somebody else, where the path would silently read the newcomer.
//
// A tree that is not a procfs is read as well (tests, copies of a /proc), and
// nothing in it is trusted: no link is followed out of it, what is not a regular
// file is not opened for reading, sizes are capped. On a procfs the kernel itself
// vouches for the types of the files.
//
// What is not protected: somebody who can mount things over the files of the procfs that is read,
// in the mount namespace of the reader, can make them say anything. He is root there already.
package proc
