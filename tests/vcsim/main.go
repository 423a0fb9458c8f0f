// A vCenter for the tests.
//
// It is the simulator of VMware's own client library, with a content library, over plain HTTP on
// loopback. It says where it listens on its first line, serves what there is in it under /state, and ends with its stdin.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"sort"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vapi/library"
	"github.com/vmware/govmomi/vapi/rest"
	_ "github.com/vmware/govmomi/vapi/simulator"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const appliance = `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References/>
  <NetworkSection><Info>Networks</Info><Network ovf:name="VM Network"><Description>The network</Description></Network></NetworkSection>
  <VirtualSystem ovf:id="appliance">
    <Info>An appliance</Info>
    <Name>appliance</Name>
    <VirtualHardwareSection>
      <Info>Hardware</Info>
      <System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
      <Item><rasd:ElementName>cpu</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
      <Item><rasd:ElementName>memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
      <Item><rasd:Connection>VM Network</rasd:Connection><rasd:ElementName>nic</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
`

// What is said of a machine.
type machine struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	PowerState   string   `json:"powerState"`
	InstanceUuid string   `json:"instanceUuid"`
	Annotation   string   `json:"annotation"`
	Mark         string   `json:"mark"`
	NumCPU       int32    `json:"numCpu"`
	MemoryMB     int32    `json:"memoryMb"`
	Snapshots    []string `json:"snapshots"`
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Puts the appliance into the content library, once a version.
func fill(ctx context.Context, client *govmomi.Client, user *url.Userinfo, items []string) error {
	vapi := rest.NewClient(client.Client)
	if err := vapi.Login(ctx, user); err != nil {
		return err
	}
	defer vapi.Logout(ctx)
	found, err := view.NewManager(client.Client).CreateContainerView(ctx, client.ServiceContent.RootFolder, []string{"Datastore"}, true)
	if err != nil {
		return err
	}
	stores, err := found.Find(ctx, []string{"Datastore"}, nil)
	if err != nil {
		return err
	}
	manager := library.NewManager(vapi)
	id, err := manager.CreateLibrary(ctx, library.Library{
		Name:    "appliances",
		Type:    "LOCAL",
		Storage: []library.StorageBackings{{DatastoreID: stores[0].Value, Type: "DATASTORE"}},
	})
	if err != nil {
		return err
	}
	for _, name := range items {
		item, err := manager.CreateLibraryItem(ctx, library.Item{Name: name, Type: "ovf", LibraryID: id})
		if err != nil {
			return err
		}
		session, err := manager.CreateLibraryItemUpdateSession(ctx, library.Session{LibraryItemID: item})
		if err != nil {
			return err
		}
		file, err := manager.AddLibraryItemFile(ctx, session, library.UpdateFile{Name: "appliance.ovf", SourceType: "PUSH", Size: int64(len(appliance))})
		if err != nil {
			return err
		}
		to, err := url.Parse(file.UploadEndpoint.URI)
		if err != nil {
			return err
		}
		request, err := http.NewRequest(http.MethodPut, to.String(), bytes.NewReader([]byte(appliance)))
		if err != nil {
			return err
		}
		request.Header.Set("vmware-api-session-id", session)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		answer.Body.Close()
		if answer.StatusCode >= 300 {
			return fmt.Errorf("the upload of %s was answered with %s", name, answer.Status)
		}
		if err := manager.CompleteLibraryItemUpdateSession(ctx, session); err != nil {
			return err
		}
	}
	return nil
}

func names(tree []types.VirtualMachineSnapshotTree, into []string) []string {
	for _, snapshot := range tree {
		into = names(snapshot.ChildSnapshotList, append(into, snapshot.Name))
	}
	return into
}

// The machines, by name, that were not there from the beginning, or that somebody has marked; and how many others there are.
func machines(ctx context.Context, client *govmomi.Client, given map[string]bool) ([]machine, int, error) {
	found, err := view.NewManager(client.Client).CreateContainerView(ctx, client.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	if err != nil {
		return nil, 0, err
	}
	defer found.Destroy(ctx)
	var all []mo.VirtualMachine
	if err := found.Retrieve(ctx, []string{"VirtualMachine"}, []string{"name", "config", "runtime", "snapshot"}, &all); err != nil {
		return nil, 0, err
	}
	list, others := []machine{}, 0
	for _, vm := range all {
		one := machine{
			ID:           vm.Self.Value,
			Name:         vm.Name,
			PowerState:   string(vm.Runtime.PowerState),
			InstanceUuid: vm.Config.InstanceUuid,
			Annotation:   vm.Config.Annotation,
			NumCPU:       vm.Config.Hardware.NumCPU,
			MemoryMB:     vm.Config.Hardware.MemoryMB,
			Snapshots:    []string{},
		}
		for _, option := range vm.Config.ExtraConfig {
			if value := option.GetOptionValue(); value.Key == "providerhub.node" {
				one.Mark = fmt.Sprint(value.Value)
			}
		}
		if given[vm.Name] && one.Mark == "" {
			others++
			continue
		}
		if vm.Snapshot != nil {
			one.Snapshots = names(vm.Snapshot.RootSnapshotList, one.Snapshots)
		}
		list = append(list, one)
	}
	sort.Slice(list, func(a, b int) bool { return list[a].Name < list[b].Name })
	return list, others, nil
}

func main() {
	log.SetOutput(os.Stderr)
	ctx := context.Background()
	model := simulator.VPX()
	model.Datacenter = 2
	model.Cluster = 2
	model.Pool = 1
	model.Datastore = 2
	model.Portgroup = 2
	must(model.Create())
	defer model.Remove()
	user := url.UserPassword("administrator@vsphere.local", "Pa55-of-the-tests!")
	model.Service.Listen = &url.URL{User: user}
	model.Service.RegisterEndpoints = true
	given := map[string]bool{}
	var client *govmomi.Client
	model.Service.HandleFunc("/state", func(w http.ResponseWriter, _ *http.Request) {
		list, others, err := machines(ctx, client, given)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		sessions := 0
		manager := simulator.Map.SessionManager()
		var properties mo.SessionManager
		if err := client.RetrieveOne(ctx, manager.Reference(), []string{"sessionList"}, &properties); err == nil {
			// The one that asks is its own.
			sessions = len(properties.SessionList) - 1
		}
		_ = json.NewEncoder(w).Encode(map[string]interface{}{"machines": list, "others": others, "sessions": sessions})
	})
	server := model.Service.NewServer()
	defer server.Close()
	var err error
	client, err = govmomi.NewClient(ctx, server.URL, true)
	must(err)
	present, _, err := machines(ctx, client, given)
	must(err)
	for _, vm := range present {
		given[vm.Name] = true
	}
	must(fill(ctx, client, user, []string{"VCD-10.5", "VCD-10.6"}))
	fmt.Printf("{\"url\":\"http://%s\"}\n", server.URL.Host)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
