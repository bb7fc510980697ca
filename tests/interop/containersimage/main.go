// Command containersimage pulls one image the way podman, skopeo, buildah and CRI-O do when their
// build has sigstore support (Debian's has not): policy.json decides, registries.d says where
// signatures lie, and nothing is written unless the policy holds.
//
//	containersimage -policy policy.json -registries-d DIR docker://HOST/REPO:TAG dir:/tmp/out
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/containers/image/v5/copy"
	"github.com/containers/image/v5/signature"
	"github.com/containers/image/v5/transports/alltransports"
	"github.com/containers/image/v5/types"
)

func pull(policyFile, registriesDir, authFile string, all bool, from, to string) error {
	policy, err := signature.NewPolicyFromFile(policyFile)
	if err != nil {
		return err
	}
	judge, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer func() { _ = judge.Destroy() }()
	source, err := alltransports.ParseImageName(from)
	if err != nil {
		return err
	}
	target, err := alltransports.ParseImageName(to)
	if err != nil {
		return err
	}
	world := &types.SystemContext{
		RegistriesDirPath:           registriesDir,
		AuthFilePath:                authFile,
		SystemRegistriesConfPath:    os.DevNull,
		SystemRegistriesConfDirPath: os.DevNull,
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
		OSChoice:                    "linux",
		ArchitectureChoice:          "amd64",
	}
	selection := copy.CopySystemImage
	if all {
		selection = copy.CopyAllImages
	}
	_, err = copy.Image(context.Background(), judge, target, source, &copy.Options{
		SourceCtx:          world,
		DestinationCtx:     world,
		ImageListSelection: selection,
		RemoveSignatures:   true,
	})
	return err
}

func main() {
	policyFile := flag.String("policy", "", "policy.json")
	registriesDir := flag.String("registries-d", "", "folder of registries.d files")
	authFile := flag.String("authfile", "", "credentials, as podman login writes them")
	all := flag.Bool("all", false, "copy the index and every child, not only linux/amd64")
	flag.Parse()
	if flag.NArg() != 2 || *policyFile == "" || *registriesDir == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := pull(*policyFile, *registriesDir, *authFile, *all, flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
