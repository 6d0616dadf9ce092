# What Vagrant makes of the Vagrantfile for a provider, as JSON: machines.rb FOLDER PROVIDER
require "json"
require "vagrant"

folder, provider = ARGV[0], ARGV[1].to_sym
environment = Vagrant::Environment.new(cwd: folder, ui_class: Vagrant::UI::Silent)
# Without the plugins of VMware and Parallels, which no package has, their boxes are still known, but not their hardware.
plugin, = Vagrant.plugin("2").manager.providers[provider]
# Settings are read without the hypervisor.
plugin&.define_singleton_method(:usable?) { |*| true }

def size(hardware)
  # VirtualBox keeps them as arguments of its own command.
  return hardware.customizations.map { |_, command| command.last.to_s } if hardware.respond_to?(:customizations)

  [hardware.memory, hardware.cpus].map(&:to_s)
end

# The groups of the inventory that Vagrant will write.
def inventory(ansible, names)
  host = VagrantPlugins::Ansible::Provisioner::Host.new(nil, ansible)
  host.instance_variable_set(:@inventory_machines, names.to_h { |name| [name, nil] })
  host.send(:generate_inventory_groups)
end

machines = environment.machine_names.to_h do |name|
  config = environment.vagrantfile.machine_config(name, provider, nil, nil, !plugin.nil?)[:config]
  hardware = config.vm.get_provider_config(provider) if plugin
  [name, {
    box: config.vm.box,
    hardware: hardware && size(hardware),
    networks: config.vm.networks.map { |kind, options| options.slice(:ip, :guest, :host, :host_ip).merge(kind: kind) },
    folders: config.vm.synced_folders.reject { |_, options| options[:disabled] }.keys,
    provisioners: config.vm.provisioners.map do |step|
      ansible = step.config
      { name: step.name, playbook: ansible.playbook, limit: ansible.limit, host_vars: ansible.host_vars,
        inventory: inventory(ansible, environment.machine_names), command: ansible.playbook_command,
        options: ansible.raw_arguments }
    end,
  }]
end
puts JSON.generate(machines)
