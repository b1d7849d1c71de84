# frozen_string_literal: true

module Shadow
  # Of PostgreSQL, by which shadows read. A session can be told that it only reads, and can tell itself otherwise: what
  # counts is what its role may.
  module Role
    # The tables that it may change, and those that it may not read. Native has the same: handlers/connections.py.
    RIGHTS = <<~SQL
      select string_agg(relname, ', ' order by relname) filter (
               where has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE')),
             string_agg(relname, ', ' order by relname) filter (where not has_table_privilege(oid, 'SELECT'))
        from pg_class
       where relkind in ('r', 'p', 'v', 'm', 'f') and relnamespace::regnamespace::name = any (current_schemas(false))
    SQL

    class << self
      # In the connection at hand, which is a shadow's; once in this process.
      def prove
        connection = ActiveRecord::Base.connection
        return true if @proved

        changes, hidden = connection.select_rows(RIGHTS).first
        told = [("may change #{changes}" if changes), ("may not read #{hidden}" if hidden)].compact
        raise Refused, "the role of SHADOW_DATABASE_URL #{told.join(' and ')}" if told.any?

        @proved = true
      rescue ActiveRecord::ActiveRecordError, PG::Error => e
        raise Refused, "#{e.class}: #{e.message}"
      end

      # Makes it, if it is not there, and lets it read what there is and what the migrations of the same user will make.
      def grant
        connection = ActiveRecord::Base.connection
        address = ActiveRecord::DatabaseConfigurations::ConnectionUrlResolver.new(ENV.fetch("SHADOW_DATABASE_URL")).to_hash
        raise Refused, "SHADOW_DATABASE_URL names our own role" if own?(connection, address)

        connection.transaction { statements(connection, address).each { |statement| connection.execute(statement) } }
      end

      private

      def own?(connection, address)
        [nil, connection.select_value("select current_user")].include?(address[:username])
      end

      def statements(connection, address)
        role = connection.quote_column_name(address[:username])
        made = connection.select_value("select 1 from pg_roles where rolname = #{connection.quote(address[:username])}")
        password = connection.quote(address[:password])
        [
          ("CREATE ROLE #{role} LOGIN PASSWORD #{password}" unless made),
          "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM #{role}",
          "GRANT USAGE ON SCHEMA public TO #{role}",
          "GRANT SELECT ON ALL TABLES IN SCHEMA public TO #{role}",
          "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO #{role}"
        ].compact
      end
    end
  end
end
