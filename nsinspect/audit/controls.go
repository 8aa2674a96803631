package audit

import "github.com/nsinspect/nsinspect/nsinspect/report"

// The controls that a rule stands in for, with the version of the framework: the
// numbers moved between versions. The first is the one that tables print, with
// the one marked short.

func control(framework, version, id string) report.Control {
	return report.Control{Framework: framework, Version: version, ID: id}
}

const (
	cisDocker     = "CIS Docker Benchmark"
	cisKubernetes = "CIS Kubernetes Benchmark"
	disaDocker    = "DISA Docker Enterprise 2.x STIG"
	disaMirantis  = "DISA Mirantis Kubernetes Engine STIG"
)

func hostIPCControls() []report.Control {
	return append([]report.Control{
		control(cisDocker, "1.6.0", "5.17"),
		control(disaDocker, "V2R1", "DKER-EE-001250"),
		control(disaDocker, "V2R1", "V-235785"),
		control(disaDocker, "V2R1", "SV-235785r627482_rule"),
		control(disaDocker, "V1R1", "V-95603"),
		control(disaDocker, "V1R1", "SV-104741r2_rule"),
		control("DISA CCI", "", "CCI-001414"),
		control(cisDocker, "1.11-1.5.0", "5.16"),
		control(cisKubernetes, "1.5-1.20", "5.2.3"),
		control(cisKubernetes, "1.23-1.12", "5.2.4"),
		control("CIS EKS and AKS Benchmarks", "", "4.2.3"),
		control("CIS GKE Benchmark", "1.6+", "4.2.1"),
		control(disaMirantis, "", "CNTR-MK-001020"),
		control(disaMirantis, "", "V-260935"),
		control("Code Pathfinder Compose rules", "", "COMPOSE-SEC-010"),
		control("KICS", "", "baa3890f-bed7-46f5-ab8f-1da8fc91c729"),
		control("checkov", "", "CKV_K8S_18"),
		control("trivy", "", "KSV-0008"),
		control("CWE", "", "CWE-668"),
	}, common()...)
}

func hostPIDControls() []report.Control {
	return append([]report.Control{
		control(cisDocker, "1.6.0", "5.16"),
		control(disaDocker, "V2R1", "DKER-EE-001240"),
		control(disaDocker, "V2R1", "V-235784"),
		control(disaDocker, "V2R1", "SV-235784r627479_rule"),
		control(disaDocker, "V1R1", "V-95601"),
		control(disaDocker, "V1R1", "SV-104739"),
		control("DISA CCI", "", "CCI-001414"),
		control(cisDocker, "1.11-1.5.0", "5.15"),
		control(cisKubernetes, "1.5-1.20", "5.2.2"),
		control(cisKubernetes, "1.23-1.12", "5.2.3"),
		control("CIS EKS and AKS Benchmarks", "", "4.2.2"),
		control("CIS GKE Benchmark", "1.6+", "4.2.1"),
		control(disaMirantis, "", "V-260930"),
		control("KICS", "", "4f31dd9f-2cc3-4751-9b53-67e4af83dac0"),
		control("checkov", "", "CKV_K8S_17"),
		control("trivy", "", "KSV-0010"),
		control("CWE", "", "CWE-653"),
	}, common()...)
}

// common is what both namespaces are mapped to.
func common() []report.Control {
	return []report.Control{
		control("kubescape", "", "C-0038"),
		control("NIST SP 800-53", "Rev. 5", "SC-39"),
		control("NIST SP 800-53", "Rev. 5", "AC-4"),
		control("NIST SP 800-190", "", "4.4.3"),
		control("Kubernetes Pod Security Standards", "Baseline", "Host Namespaces"),
		control("MITRE ATT&CK", "", "T1611"),
	}
}
